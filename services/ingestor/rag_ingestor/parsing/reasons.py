"""Constant messages for documents that cannot be parsed, which callers rely on, and their Korean."""

EMPTY = "must not be empty"
TOO_LARGE = "is over the size limit"
EXPANDS = "expands to more than the size limit"
TOO_LONG = "holds more text than the limit"
TOO_MANY_PAGES = "has more pages than the limit"
OVER_LIMITS = "could not be parsed within limits of time and memory"

NO_TEXT = "has no text"
SCANNED = "is a PDF without text, perhaps scanned; recognise its text first (OCR)"
UNREADABLE_FONT = (
    "is a PDF whose fonts do not say which characters they show; recognise its text first (OCR)"
)
ENCRYPTED = "is protected by a password"
BROKEN_PDF = "is a broken PDF"
BROKEN_DOCX = "is a broken DOCX document"
BROKEN_HTML = "is HTML nested too deeply to read"
OUTSIDE = "is an archive whose member paths lead out of it"
ENTITIES = "declares XML entities, which no document may"

BINARY = "is binary data; send text, Markdown, HTML, PDF or DOCX"
UNDECODABLE = "must be UTF-8, UTF-16 with a byte order mark, CP949 or of the declared charset"
COMBINING = "has too many combining marks on one character"
MISMATCH = "is not what its declared media type says"
ZIP = "is a ZIP archive, not a DOCX document"
HWP = "is an HWP document, which is not supported; convert it to PDF or DOCX"
HWPX = "is an HWPX document, which is not supported; convert it to PDF or DOCX"
OFFICE = "is a legacy Office document (DOC, XLS or PPT), which is not supported"
SPREADSHEET = "is an XLSX workbook, which is not supported"
PRESENTATION = "is a PPTX presentation, which is not supported"
OPEN_DOCUMENT = "is an OpenDocument file, which is not supported"
EPUB = "is an EPUB book, which is not supported"
RTF = "is an RTF document, which is not supported"

KOREAN = {
    EMPTY: "내용이 비어 있습니다.",
    TOO_LARGE: "크기 한도를 넘었습니다.",
    EXPANDS: "압축을 풀면 크기 한도를 넘습니다.",
    TOO_LONG: "글의 양이 한도를 넘었습니다.",
    TOO_MANY_PAGES: "쪽수가 한도를 넘었습니다.",
    OVER_LIMITS: "시간과 메모리 한도 안에서 읽을 수 없었습니다.",
    NO_TEXT: "글이 없습니다.",
    SCANNED: "글이 없는 PDF입니다. 스캔한 문서라면 먼저 문자 인식(OCR)을 해 주세요.",
    UNREADABLE_FONT: "글꼴에 문자 정보가 없어 읽을 수 없는 PDF입니다. 먼저 문자 인식(OCR)을 해 주세요.",
    ENCRYPTED: "암호로 보호되어 있습니다.",
    BROKEN_PDF: "손상된 PDF입니다.",
    BROKEN_DOCX: "손상된 DOCX 문서입니다.",
    BROKEN_HTML: "너무 깊이 중첩되어 읽을 수 없는 HTML입니다.",
    OUTSIDE: "압축 파일 밖을 가리키는 이름이 들어 있습니다.",
    ENTITIES: "XML 엔터티 선언은 허용되지 않습니다.",
    BINARY: "글이 아닌 데이터입니다. 텍스트, Markdown, HTML, PDF, DOCX를 보내 주세요.",
    UNDECODABLE: "UTF-8, 바이트 순서 표시가 있는 UTF-16, CP949, 또는 선언한 문자 집합이어야 합니다.",
    COMBINING: "한 글자에 결합 문자가 너무 많습니다.",
    MISMATCH: "내용이 선언한 미디어 유형과 다릅니다.",
    ZIP: "DOCX 문서가 아닌 ZIP 압축 파일입니다.",
    HWP: "지원하지 않는 HWP 문서입니다. PDF나 DOCX로 변환해 주세요.",
    HWPX: "지원하지 않는 HWPX 문서입니다. PDF나 DOCX로 변환해 주세요.",
    OFFICE: "지원하지 않는 옛 Office 문서(DOC, XLS, PPT)입니다.",
    SPREADSHEET: "지원하지 않는 XLSX 통합 문서입니다.",
    PRESENTATION: "지원하지 않는 PPTX 프레젠테이션입니다.",
    OPEN_DOCUMENT: "지원하지 않는 OpenDocument 파일입니다.",
    EPUB: "지원하지 않는 EPUB 전자책입니다.",
    RTF: "지원하지 않는 RTF 문서입니다.",
}
