"""The form of options as products document them: any other name or type is refused."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Documented(BaseModel):
    """Has no option but those that are named."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


# A value by environment is text before it is put in.
Env = Annotated[str, StringConstraints(pattern=r"^\$\{env:[A-Z_]+(:-[^}]*)?\}$")]
Span = Annotated[str, StringConstraints(pattern=r"^-?\d+(ms|s|m|h|d)$")]
Address = Annotated[str, StringConstraints(pattern=r"^\S+:\d+$")]
Url = Annotated[str, StringConstraints(pattern=r"^(https?://\S+|\$\{env:[A-Z_]+:-https?://\S+\})$")]
Size = Annotated[str, StringConstraints(pattern=r"^\d+(KB|MB|gb|m|g)$")]
Count = Annotated[int, Field(gt=0)]
Image = Annotated[str, StringConstraints(pattern=r"^[a-z0-9./-]+:v?\d+\.\d+\.\d+$")]
