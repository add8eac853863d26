"""The golden probe: a command that asks the canary questions with known answers."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from rag_delivery.verdicts import Judgement, Judgements, Verdict

PROBE = "probe"
# One failed run may be chance, such as a pod that is replaced.
_FAILURES = 2


@dataclass
class Probe:
    """Runs the command again and again; it passes by exiting with 0 within `timeout` seconds."""

    command: Sequence[str]
    timeout: float
    failures: int = 0
    reason: str = "has not run yet"

    async def run(self) -> None:
        """Run the command once, and remember the result."""
        self.reason = await self._run()
        self.failures = self.failures + 1 if self.reason else 0

    def judge(self) -> Judgements:
        """The last result: inconclusive before the first one and after one failure; none without a command."""
        if not self.command:
            return []
        if not self.reason:
            return [Judgement(PROBE, "", Verdict.PASS, "exit code 0")]
        verdict = Verdict.FAIL if self.failures >= _FAILURES else Verdict.INCONCLUSIVE
        return [Judgement(PROBE, "", verdict, self.reason)]

    async def _run(self) -> str:
        """Why the command failed, empty if it did not."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command, stdin=asyncio.subprocess.DEVNULL
            )
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        try:
            code = await asyncio.wait_for(process.wait(), self.timeout)
        except TimeoutError:
            return f"no result within {self.timeout:g} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return f"exit code {code}" if code else ""
