//! A catalogue of products that are all valid but awkward, and of records that must be refused.
//!
//! The valid ones are also in `ui/e2e/hostile-catalogue.json`, as a bootstrap file and for the browser tests; a test compares.

use serde_json::{Value, json};

/// A record that must become a dead letter, and words of its reason.
pub struct Refused {
    pub key: String,
    pub value: Vec<u8>,
    pub reason: &'static str,
}

/// Ids with a special meaning in addresses, proxies, databases, scripts or languages.
const IDS: &[&str] = &[
    "/",
    "//",
    "a/b",
    "/lead",
    "trail/",
    "a//b",
    "../../admin",
    "..a",
    "a..",
    "...",
    ".hidden",
    "~",
    "%",
    "%%",
    "50%",
    "%zz",
    "%2F",
    "a%2Fb",
    "%00",
    "%2E%2E",
    "%252e",
    "?",
    "x?y#z",
    "#",
    "#top",
    "?limit=0",
    "&",
    "A&B",
    "a=b",
    "+",
    "C++",
    "a b",
    " ",
    "  ",
    " lead",
    "trail ",
    "SKU:1",
    "a,b;c=d@e$",
    "*",
    "(1)",
    "[0]",
    "{id}",
    "|",
    "^",
    "`",
    "'",
    "\"quoted\"",
    "' OR 1=1--",
    "back\\slash",
    "<script>alert(1)</script>",
    "&amp;",
    "${x}",
    "{{x}}",
    "__proto__",
    "constructor",
    "null",
    "undefined",
    "NaN",
    "0",
    "-1",
    "1e3",
    "true",
    "history",
    "image",
    "x/image",
    "x/history",
    "case",
    "CASE",
    "Case",
    "ſtraße",
    "STRASSE",
    "İ",
    "i\u{307}",
    "\u{e9}",
    "e\u{301}",
    "\u{202e}עברית",
    "שלום",
    "مرحبا",
    "图书📚",
    "👩‍👩‍👧‍👦",
    "\u{200b}",
    "\u{feff}",
    "\u{a0}",
    "\u{2028}",
    "\u{2066}x\u{2069}",
    "\u{fffe}",
    "\u{ffff}",
    "\u{fffd}",
    "\u{e000}",
    "\u{10ffff}",
    "z\u{301}\u{302}\u{303}\u{304}",
];

/// Texts that break layouts, parsers and scripts; each is cut to its field's limit.
fn texts() -> Vec<(&'static str, String)> {
    vec![
        ("one long word", "W".repeat(500)),
        ("a long word of a language", "Donaudampfschifffahrtsgesellschaftskapitänsmütze".repeat(10)),
        ("thin letters", "il".repeat(250)),
        ("long words of normal length", "unexceptional merchandise ".repeat(19)),
        ("hyphens", "-".repeat(500)),
        ("slashes", "a/b".repeat(166)),
        ("right to left", "מוצר נהדר מאוד 123 (חדש)".to_owned()),
        ("a long word from right to left", "ש".repeat(500)),
        ("Arabic", "منتج رائع جدا رقم ٤٢".to_owned()),
        ("an override", "Cable \u{202e}(kcotsni)".to_owned()),
        ("overrides that nothing closes", "\u{202e}\u{202d}\u{2066}\u{2067}\u{202b}open".repeat(20)),
        ("combining marks", "Z\u{301}\u{302}\u{303}\u{308}\u{30a}\u{316}\u{323}\u{327}\u{489}".repeat(50)),
        ("a tower of marks", format!("A{}", "\u{30d}".repeat(499))),
        ("emoji", "🧑‍🚀🏳️‍🌈👍🏽".repeat(40)),
        ("wide characters", "图书馆里的灯塔".repeat(70)),
        ("Thai, without spaces", "ผลิตภัณฑ์ที่ดีมาก".repeat(25)),
        ("noncharacters", "Tea\u{fffe} for\u{ffff} two\u{fdd0}".to_owned()),
        ("private use", "\u{e000}\u{f8ff}\u{10fffd} lamp".to_owned()),
        ("the replacement character", "\u{fffd}\u{fffd}\u{fffd}".to_owned()),
        ("odd spaces", "\u{a0}\u{2003}\u{3000}tea\u{2028}pot\u{2029}\u{feff}".to_owned()),
        ("soft hyphens and joiners", "tea\u{ad}pot\u{200d}\u{200c}\u{200b}\u{2060}".repeat(20)),
        ("markup", "</title><script>alert(1)</script><b onclick='x'>\"&amp;]]>".to_owned()),
        ("only ampersands", "&".repeat(500)),
        ("entities", "&lt;&#0;&#xFFFE;&nbsp;&unknown;".to_owned()),
        ("templates", "{{constructor}} ${7*7} #{x} <%= x %> %s %n $1 \\u0000".to_owned()),
        ("an address", "javascript:alert(1)//https://elsewhere.example/?a=b&c=d#e".to_owned()),
        ("quotes", "\"'`´‘’“”«»".to_owned()),
        ("SQL", "'); DROP TABLE orders;--".to_owned()),
        ("a path", "../../../etc/passwd".to_owned()),
        ("a single letter", "x".to_owned()),
        ("digits", "1234567890".repeat(50)),
    ]
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// Every product of the catalogue: all of them must be accepted.
pub fn accepted() -> Vec<Value> {
    let ids = IDS.iter().map(|id| (*id).to_owned()).chain([
        "L".repeat(50),
        "%".repeat(50),
        "图".repeat(50),
        "\u{1f4da}".repeat(50),
        "a\u{301}".repeat(25),
    ]);
    let by_id =
        ids.map(|id| json!({"productId": id, "name": format!("Odd {id}"), "price": 2.5, "inventory": 9, "category": "Odd ids"}));
    let by_text = texts().into_iter().enumerate().map(|(number, (kind, text))| {
        let label = cut(&text, 100);
        json!({
            "productId": format!("HOSTILE_TEXT_{number:02}"), "name": cut(&text, 500), "description": format!("{kind}: {text}"),
            "brand": label, "category": "Odd texts", "tags": [label, kind],
            "price": 19.99, "inventory": 12, "rating": 4.5, "reviewCount": 3,
        })
    });
    by_id.chain(by_text).chain(extremes()).chain(categories()).collect()
}

/// Numbers, lists and pictures at their limits.
fn extremes() -> Vec<Value> {
    let base = |number: usize, more: Value| {
        let mut product = json!({
            "productId": format!("HOSTILE_LIMIT_{number:02}"), "name": "Limits",
            "price": 1.0, "inventory": 5, "category": "Odd limits",
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            product[field] = value.clone();
        }
        product
    };
    let mut all: Vec<Value> = [
        json!({"price": 0}),
        json!({"price": 0.01}),
        json!({"price": 99_999_999.99}),
        json!({"price": 0.005}),
        json!({"inventory": 0}),
        json!({"inventory": 1}),
        json!({"inventory": 1_000_000_000_000_i64, "price": 99_999_999.99}),
        json!({"rating": 0, "reviewCount": 0}),
        json!({"rating": 5, "reviewCount": 1_000_000_000_000_i64}),
        json!({"description": "d".repeat(10_000)}),
        json!({"description": "Line one\nLine two\r\n\tLine three\n\n\n"}),
        json!({"tags": vec!["T".repeat(100); 50]}),
        json!({"tags": ["", " ", "same", "same", "\u{202e}"]}),
        json!({"brand": "B".repeat(100), "name": "N".repeat(500), "description": "D".repeat(5000)}),
        json!({"imageUrl": ""}),
        json!({"imageUrl": "https://elsewhere.example/track.gif"}),
        json!({"imageUrl": "//elsewhere.example/track.gif"}),
        json!({"imageUrl": "javascript:alert(1)"}),
        json!({"imageUrl": "data:text/html,<script>alert(1)</script>"}),
        json!({"imageUrl": "data:image/png;base64,AAAA"}),
        json!({"imageUrl": "/api/../../etc/passwd"}),
        json!({"description": null, "brand": null, "tags": null, "rating": null, "reviewCount": null, "imageUrl": null}),
        json!({"colour": {"nested": ["unknown", 1, null]}}),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, more)| base(number, more))
    .collect();
    all.push(json!({"productId": "HOSTILE_BARE", "name": "Only what is needed", "price": 1, "inventory": 1}));
    all
}

/// Categories that are unknown to the shop.
fn categories() -> Vec<Value> {
    let odd = [
        "",
        " ",
        "Unheard Of",
        "C".repeat(100).as_str(),
        "\u{202e}drawkcab",
        "a&b=c#d?e/f%",
        "électronique",
        "ELECTRONICS",
        "📚",
        "\u{fffe}",
    ]
    .map(str::to_owned);
    odd.into_iter()
        .enumerate()
        .map(|(number, category)| {
            let id = format!("HOSTILE_CATEGORY_{number:02}");
            let name = format!("Of an odd category {number}");
            json!({"productId": id, "name": name, "price": 3, "inventory": 4, "category": category})
        })
        .collect()
}

/// Records that the inventory must refuse.
pub fn refused() -> Vec<Refused> {
    let product = |id: &str, field: &str, value: Value| {
        let mut product = json!({"productId": id, "name": "Refused", "price": 1, "inventory": 1});
        product[field] = value;
        product.to_string().into_bytes()
    };
    let raw = |text: &str| text.as_bytes().to_vec();
    let cases: Vec<(Vec<u8>, &'static str)> = vec![
        (product("", "name", json!("n")), "productId is empty"),
        (product(".", "name", json!("n")), "which no web address can name"),
        (product("..", "name", json!("n")), "which no web address can name"),
        (product(&"x".repeat(51), "name", json!("n")), "productId has 51 characters"),
        (product(&"x".repeat(200), "name", json!("n")), "productId has 200 characters"),
        (product("nul\u{0}", "name", json!("n")), "productId contains a control character"),
        (product("line\nbreak", "name", json!("n")), "productId contains a control character"),
        (product("c1\u{85}", "name", json!("n")), "productId contains a control character"),
        (product("R1", "name", json!("")), "name is empty"),
        (product("R2", "name", json!("n".repeat(501))), "name has 501 characters"),
        (product("R3", "name", json!("bell\u{7}")), "name contains a control character"),
        (product("R4", "description", json!("d".repeat(10_001))), "description has 10001 characters"),
        (product("R5", "brand", json!("b".repeat(101))), "brand has 101 characters"),
        (product("R6", "category", json!("c".repeat(101))), "category has 101 characters"),
        (product("R7", "category", json!("two\nlines")), "category contains a control character"),
        (product("R8", "tags", json!(vec!["t"; 51])), "tags is 51 texts"),
        (product("R9", "tags", json!(["t".repeat(101)])), "tags has 101 characters"),
        (product("R10", "price", json!(-0.01)), "price is -0.01"),
        (product("R11", "price", json!(100_000_000)), "price is 100000000"),
        (product("R12", "price", json!("1")), "price: invalid type"),
        (product("R13", "inventory", json!(-1)), "inventory is -1"),
        (product("R14", "inventory", json!(1_000_000_000_001_i64)), "inventory is 1000000000001"),
        (product("R15", "inventory", json!(1.5)), "inventory: invalid type"),
        (product("R16", "rating", json!(5.01)), "rating is 5.01"),
        (product("R17", "reviewCount", json!(-1)), "reviewCount is -1"),
        (product("R18", "imageUrl", json!(format!("data:{}", "A".repeat(65_536)))), "imageUrl has 65541 characters"),
        (raw(r#"{"productId":"R19","name":"half \ud800 pair","price":1,"inventory":1}"#), "hex escape"),
        (raw(r#"{"productId":"R20","name":"n","name":"m","price":1,"inventory":1}"#), "name stands twice"),
        (b"{\"productId\":\"R21\",\"name\":\"\xff\",\"price\":1,\"inventory\":1}".to_vec(), ""),
        (raw(r#"{"productId":"R22","name":"n","price":1}"#), "inventory is missing"),
        (raw("7"), "invalid type"),
    ];
    cases
        .into_iter()
        .enumerate()
        .map(|(number, (value, reason))| Refused { key: format!("refused-{number}"), value, reason })
        .collect()
}
