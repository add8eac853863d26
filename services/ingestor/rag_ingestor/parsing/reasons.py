"""What is said of documents, or of parts of them, that cannot be read; constant, in English and Korean."""

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
DISTRIBUTION = "is an HWP document for distribution, whose text is encrypted"
BROKEN_PDF = "is a broken PDF"
BROKEN_DOCX = "is a broken DOCX document"
BROKEN_HWP = "is a broken HWP document"
BROKEN_HWPX = "is a broken HWPX document"
BROKEN_PPTX = "is a broken PPTX presentation"
BROKEN_WORKBOOK = "is a broken workbook"
BROKEN_RTF = "is a broken RTF document"
BROKEN_MAIL = "is a broken mail message"
BROKEN_HTML = "is HTML nested too deeply to read"
OUTSIDE = "is an archive whose member paths lead out of it"
ENTITIES = "declares XML entities, which no document may"

BINARY = "is binary data of no supported format"
UNDECODABLE = "must be UTF-8, UTF-16 with a byte order mark, CP949 or of the declared charset"
COMBINING = "has too many combining marks on one character"
MISMATCH = "is not what its declared media type says"
ZIP = "is a ZIP archive, not an office document"
OFFICE = "is a legacy Office document (DOC or PPT), which is not supported; save it as DOCX or PPTX"
OUTLOOK = "is an Outlook message (MSG), which is not supported; save it as EML"
OPEN_DOCUMENT = "is an OpenDocument file other than a spreadsheet, which is not supported"
HWPML = "is an HWPML document, which is not supported; save it as HWP or HWPX"
IMAGE = "is an image; recognise its text first (OCR)"
BROKEN_IMAGE = "is a broken image"
NOTHING_RECOGNISED = "is a scan or an image on which no text was recognised"
EPUB = "is an EPUB book, which is not supported"

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
    DISTRIBUTION: "배포용 HWP 문서라서 내용이 암호화되어 있습니다.",
    ENCRYPTED: "암호로 보호되어 있습니다.",
    BROKEN_PDF: "손상된 PDF입니다.",
    BROKEN_DOCX: "손상된 DOCX 문서입니다.",
    BROKEN_HWP: "손상된 HWP 문서입니다.",
    BROKEN_HWPX: "손상된 HWPX 문서입니다.",
    BROKEN_PPTX: "손상된 PPTX 프레젠테이션입니다.",
    BROKEN_WORKBOOK: "손상된 통합 문서입니다.",
    BROKEN_RTF: "손상된 RTF 문서입니다.",
    BROKEN_MAIL: "손상된 메일입니다.",
    BROKEN_HTML: "너무 깊이 중첩되어 읽을 수 없는 HTML입니다.",
    OUTSIDE: "압축 파일 밖을 가리키는 이름이 들어 있습니다.",
    ENTITIES: "XML 엔터티 선언은 허용되지 않습니다.",
    BINARY: "지원하는 형식이 아닌 데이터입니다.",
    UNDECODABLE: "UTF-8, 바이트 순서 표시가 있는 UTF-16, CP949, 또는 선언한 문자 집합이어야 합니다.",
    COMBINING: "한 글자에 결합 문자가 너무 많습니다.",
    MISMATCH: "내용이 선언한 미디어 유형과 다릅니다.",
    ZIP: "오피스 문서가 아닌 ZIP 압축 파일입니다.",
    OFFICE: "지원하지 않는 옛 Office 문서(DOC, PPT)입니다. DOCX나 PPTX로 저장해 주세요.",
    OUTLOOK: "지원하지 않는 Outlook 메시지(MSG)입니다. EML로 저장해 주세요.",
    OPEN_DOCUMENT: "스프레드시트가 아닌 OpenDocument 파일은 지원하지 않습니다.",
    HWPML: "지원하지 않는 HWPML 문서입니다. HWP나 HWPX로 저장해 주세요.",
    IMAGE: "그림입니다. 먼저 문자 인식(OCR)을 해 주세요.",
    BROKEN_IMAGE: "손상된 그림입니다.",
    NOTHING_RECOGNISED: "글자를 인식하지 못한 스캔 문서나 그림입니다.",
    EPUB: "지원하지 않는 EPUB 전자책입니다.",
}

PAGE_WITHOUT_TEXT = "PAGE_WITHOUT_TEXT"
PAGE_UNREADABLE_FONT = "PAGE_UNREADABLE_FONT"
PAGE_BROKEN = "PAGE_BROKEN"
SLIDE_WITHOUT_TEXT = "SLIDE_WITHOUT_TEXT"
SHEET_UNREAD = "SHEET_UNREAD"
SHEET_PARTS_UNREAD = "SHEET_PARTS_UNREAD"
SHAPE_UNREAD = "SHAPE_UNREAD"
SECTION_UNREAD = "SECTION_UNREAD"
PARTS_UNREAD = "PARTS_UNREAD"
ATTACHMENT_UNREAD = "ATTACHMENT_UNREAD"
ATTACHMENT_PAGES_UNREAD = "ATTACHMENT_PAGES_UNREAD"
ATTACHMENTS_LEFT_OUT = "ATTACHMENTS_LEFT_OUT"
NAME_MISMATCH = "NAME_MISMATCH"
PAGE_NOT_RECOGNISED = "PAGE_NOT_RECOGNISED"
TEXT_RECOGNISED = "TEXT_RECOGNISED"

# What is said of a part that was not read, in English and Korean.
UNREAD = {
    PAGE_WITHOUT_TEXT: (
        "pages without text, perhaps scanned; recognise their text first (OCR)",
        "글이 없는 쪽이 있습니다. 스캔한 쪽이라면 먼저 문자 인식(OCR)을 해 주세요.",
    ),
    PAGE_UNREADABLE_FONT: (
        "pages whose fonts do not say which characters they show; recognise their text first (OCR)",
        "글꼴에 문자 정보가 없어 읽을 수 없는 쪽이 있습니다. 먼저 문자 인식(OCR)을 해 주세요.",
    ),
    PAGE_NOT_RECOGNISED: (
        "scanned pages on which nothing was recognised, or beyond the number that is recognised",
        "문자 인식(OCR)이 되지 않았거나 인식 쪽수 한도를 넘은 쪽이 있습니다.",
    ),
    TEXT_RECOGNISED: (
        "pages whose text was recognised (OCR): it may have errors",
        "문자 인식(OCR)으로 읽은 쪽이 있습니다. 틀린 글자가 있을 수 있습니다.",
    ),
    PAGE_BROKEN: ("broken pages", "손상되어 읽을 수 없는 쪽이 있습니다."),
    SLIDE_WITHOUT_TEXT: (
        "slides of pictures without text; recognise their text first (OCR)",
        "글 없이 그림만 있는 슬라이드가 있습니다. 먼저 문자 인식(OCR)을 해 주세요.",
    ),
    SHEET_UNREAD: ("a sheet that cannot be read", "읽을 수 없는 시트가 있습니다."),
    SHEET_PARTS_UNREAD: (
        "comments, text boxes or charts of the sheets",
        "시트의 메모, 글상자, 차트는 읽지 않았습니다.",
    ),
    SHAPE_UNREAD: (
        "shapes on slides that cannot be read",
        "읽을 수 없는 도형이 있는 슬라이드가 있습니다.",
    ),
    SECTION_UNREAD: ("sections that cannot be read", "읽을 수 없는 구역이 있습니다."),
    PARTS_UNREAD: (
        "notes, headers, footers or text boxes",
        "각주, 머리말, 꼬리말, 글상자는 읽지 않았습니다.",
    ),
    ATTACHMENT_UNREAD: (
        "an attachment that cannot be read",
        "읽을 수 없는 첨부 파일이 있습니다.",
    ),
    ATTACHMENT_PAGES_UNREAD: (
        "pages of an attachment without text, perhaps scanned",
        "첨부 파일에 글이 없는 쪽이 있습니다. 스캔한 쪽일 수 있습니다.",
    ),
    ATTACHMENTS_LEFT_OUT: (
        "attachments beyond the limit of number or depth",
        "개수나 깊이 한도를 넘은 첨부 파일은 읽지 않았습니다.",
    ),
    NAME_MISMATCH: (
        "the content is text, not of the format that the file name says",
        "내용이 파일 이름의 형식이 아니라 텍스트입니다.",
    ),
}

# Pages of these can be recognised (OCR).
RECOGNISABLE = frozenset({PAGE_WITHOUT_TEXT, PAGE_UNREADABLE_FONT})
# Said of pages that were recognised, or tried to be.
RECOGNISED = frozenset({TEXT_RECOGNISED, PAGE_NOT_RECOGNISED})
