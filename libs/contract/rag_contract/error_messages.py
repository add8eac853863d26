"""Messages to users: the Korean text of each reason, and both languages' texts of field violations."""

from rag_contract.errors import FieldViolation

# Templates of field violations by reason, in English and Korean.
SENTENCES: dict[str, tuple[str, str]] = {
    "REQUIRED": ("is empty", "값이 비어 있습니다."),
    "INPUT_TOO_LONG": (
        "has {size:,} characters; the limit is {max:,}",
        "{size:,}자입니다. {max:,}자까지 보낼 수 있습니다.",
    ),
    "TOO_LONG": ("has over {max:,} characters", "{max:,}자를 넘었습니다."),
    "TOO_MANY": ("has over {max:,} entries", "항목이 {max:,}개를 넘었습니다."),
    "TOO_LARGE": ("has over {max:,} bytes", "{max:,}바이트를 넘었습니다."),
    "OUT_OF_RANGE": ("must be {min} to {max}", "{min}에서 {max} 사이여야 합니다."),
    "UNKNOWN_VALUE": ("is not a known value", "알 수 없는 값입니다."),
    "DUPLICATE": ("has the same {what} twice", "같은 {what}가 두 번 있습니다."),
}

# Korean texts without values, for violations reported by another service.
GENERAL: dict[str, str] = {
    "REQUIRED": "값이 비어 있습니다.",
    "INPUT_TOO_LONG": "허용된 길이를 넘었습니다.",
    "TOO_LONG": "허용된 길이를 넘었습니다.",
    "TOO_MANY": "항목이 너무 많습니다.",
    "TOO_LARGE": "허용된 크기를 넘었습니다.",
    "OUT_OF_RANGE": "허용된 범위를 벗어났습니다.",
    "UNKNOWN_VALUE": "알 수 없는 값입니다.",
    "DUPLICATE": "같은 값이 두 번 있습니다.",
    "MALFORMED": "형식이 올바르지 않습니다.",
    "CONTENT_UNREADABLE": "문서를 읽을 수 없습니다.",
}

KOREAN: dict[str, str] = {
    "FIELD_INVALID": "요청의 필드 값이 올바르지 않습니다.",
    "FILTER_INVALID": "필터가 올바르지 않습니다.",
    "INPUT_TOO_LONG": "입력이 허용된 길이를 넘었습니다.",
    "MESSAGE_MALFORMED": "요청 메시지를 해석할 수 없습니다.",
    "TOKEN_MISSING": "인증 토큰이 없습니다.",
    "TOKEN_EXPIRED": "인증 토큰이 만료되었습니다.",
    "TOKEN_INVALID": "인증 토큰이 올바르지 않습니다.",
    "KEY_REVOKED": "폐기된 API 키 또는 토큰입니다.",
    "SCOPE_MISSING": "이 작업을 할 권한이 없습니다.",
    "METHOD_FORBIDDEN": "접근 정책상 아무도 호출할 수 없는 메서드입니다.",
    "COLLECTION_FORBIDDEN": "이 컬렉션을 사용할 권한이 없습니다.",
    "CALLER_FORBIDDEN": "이 서비스는 이 메서드를 호출할 수 없습니다.",
    "DOCUMENT_NOT_FOUND": "문서를 찾을 수 없습니다.",
    "COLLECTION_NOT_FOUND": "컬렉션을 찾을 수 없습니다.",
    "KEY_NOT_FOUND": "API 키를 찾을 수 없습니다.",
    "INDEX_NOT_FOUND": "색인을 찾을 수 없습니다.",
    "MODEL_NOT_FOUND": "모델을 찾을 수 없습니다.",
    "CONCURRENCY_LIMIT": "동시에 처리할 수 있는 요청 수를 넘었습니다. 잠시 후 다시 시도해 주세요.",
    "QUEUE_FULL": "처리를 기다리는 요청이 너무 많습니다. 잠시 후 다시 시도해 주세요.",
    "RATE_LIMITED": "허용된 요청 횟수를 모두 사용했습니다. 잠시 후 다시 시도해 주세요.",
    "TOKEN_BUDGET": "허용된 토큰 사용량을 모두 사용했습니다. 잠시 후 다시 시도해 주세요.",
    "KEY_LIMIT": "만들 수 있는 API 키의 수를 모두 사용했습니다. 사용하지 않는 키를 폐기해 주세요.",
    "REVOKED_TOKEN_LIMIT": "더 폐기할 수 있는 토큰이 없습니다. 먼저 폐기한 토큰이 만료되어야 합니다.",
    "MESSAGE_TOO_LARGE": "메시지나 파일이 허용된 크기를 넘었습니다.",
    "DEPENDENCY_DOWN": "필요한 서비스가 응답하지 않습니다. 잠시 후 다시 시도해 주세요.",
    "DEPENDENCY_REFUSED": "필요한 서비스가 이 플랫폼의 요청을 거절했습니다. 관리자에게 문의해 주세요.",
    "CONNECTION_INSECURE": "보안 연결을 만들 수 없습니다. 인증서를 확인해 주세요.",
    "INDEX_UNUSABLE": "색인 폴더를 사용할 수 없습니다. 관리자에게 문의해 주세요.",
    "DRAINING": "서비스가 종료되는 중입니다. 다시 시도해 주세요.",
    "OVERLOADED": "요청이 많습니다. 잠시 후 다시 시도해 주세요.",
    "MODEL_LOADING": "모델을 불러오는 중입니다. 잠시 후 다시 시도해 주세요.",
    "INDEX_IS_DEFAULT": "`default`가 가리키는 색인은 지울 수 없습니다. 먼저 다른 색인으로 바꿔 주세요.",
    "EMBEDDING_MISMATCH": "임베딩 모델이 색인의 모델과 다릅니다. 다시 색인해야 합니다.",
    "REINDEX_RUNNING": "색인을 다시 만드는 중입니다.",
    "MODEL_REFUSED": "언어 모델 서버가 요청을 거절했습니다.",
    "NOT_CONFIGURED": "이 배포에는 요청한 기능이 구성되어 있지 않습니다.",
    "DOCUMENT_CONFLICT": "같은 문서를 다른 요청이 그 사이에 바꾸었습니다. 다시 시도해 주세요.",
    "REQUEST_ID_REUSED": "같은 request_id가 다른 요청에 이미 사용되었습니다.",
    "BUDGET_EXHAUSTED": "주어진 시간 안에 끝내지 못했습니다.",
    "CANCELLED": "요청이 취소되었습니다.",
    "METHOD_UNKNOWN": "이 서비스에 없는 메서드입니다.",
    "UNSPECIFIED": "서비스가 이유를 알리지 않고 요청을 거절했습니다.",
    "INTERNAL": "내부 오류가 발생했습니다. 추적 번호와 함께 문의해 주세요.",
}


def violation(field: str, reason: str, **values: object) -> FieldViolation:
    """A field violation with the text of SENTENCES. Raises KeyError for an unknown reason."""
    english, korean = SENTENCES[reason]
    return FieldViolation(field, english.format(**values), reason, korean.format(**values))


def malformed(field: str, english: str, korean: str) -> FieldViolation:
    """A violation for a malformed value; the two sentences describe the required form."""
    return FieldViolation(field, english, "MALFORMED", korean)
