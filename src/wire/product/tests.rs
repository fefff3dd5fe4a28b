use super::*;

const ULTRABOOK: &str = r#"{"productId":"PROD_0001","name":"FutureTech UltraBook Pro 15","description":"Thin.\nLight.",
  "category":"Electronics","brand":"FutureTech","price":1899.99,"inventory":10,"imageUrl":"/api/ecommerce/product/PROD_0001/image",
  "tags":["laptop","work"],"rating":4.5,"reviewCount":49}"#;

/// A product of its four needed fields and these more.
fn with(more: &str) -> String {
    format!(r#"{{"productId":"P","name":"Mug","price":9.5,"inventory":3{more}}}"#)
}

fn refusal(json: &str) -> String {
    decode(json.as_bytes()).map(|product| format!("accepted: {product:?}")).unwrap_or_else(|invalid| invalid.to_string())
}

#[test]
fn the_value_has_exactly_the_contracts_fields_in_its_order() {
    let product = decode(ULTRABOOK.as_bytes()).unwrap();
    insta::assert_snapshot!(serde_json::to_string(&ProductValue::from(&product)).unwrap(), @r#"{"productId":"PROD_0001","name":"FutureTech UltraBook Pro 15","description":"Thin.\nLight.","category":"Electronics","brand":"FutureTech","price":1899.99,"inventory":10,"imageUrl":"/api/ecommerce/product/PROD_0001/image","tags":["laptop","work"],"rating":4.5,"reviewCount":49}"#);
}

#[test]
fn what_the_source_leaves_out_or_null_is_never_null_on_the_way_out() {
    let all_null =
        with(r#","description":null,"category":null,"brand":null,"imageUrl":null,"tags":null,"rating":null,"reviewCount":null"#);
    for json in [with(""), all_null] {
        let product = decode(json.as_bytes()).unwrap();
        let body = ProductBody::new(&product, Revision { life: 7, version: 3 }, 2, 1_732_500_000_000);
        insta::allow_duplicates! {
            insta::assert_snapshot!(serde_json::to_string(&body).unwrap(), @r#"{"productId":"P","name":"Mug","description":"","category":"","brand":"","price":9.5,"inventory":3,"imageUrl":"","tags":[],"rating":0.0,"reviewCount":0,"life":7,"version":3,"detailsVersion":2,"timestamp":1732500000000}"#);
        }
    }
}

#[test]
fn written_and_read_again_it_is_the_same() {
    let product = decode(ULTRABOOK.as_bytes()).unwrap();
    let again = decode(&json::to_bytes(&ProductValue::from(&product))).unwrap();
    assert_eq!(product, again);
}

#[test]
fn unknown_fields_are_skipped_but_must_be_json() {
    let known = decode(with("").as_bytes()).unwrap();
    for more in [r#","weight":{"kg":[1,2.5,-3,null,true,"x\n"]}"#, r#","weight":1,"weight":2"#] {
        assert_eq!(decode(with(more).as_bytes()).unwrap(), known);
    }
    let deep = |levels: usize| with(&format!(r#","x":{}{}"#, "[".repeat(levels), "]".repeat(levels)));
    assert!(decode(deep(126).as_bytes()).is_ok());
    for levels in [128, 100_000] {
        assert!(refusal(&deep(levels)).starts_with("recursion limit exceeded"), "{levels}");
    }
    let mut bad_utf8 = with(r#","x":"?""#).into_bytes();
    let place = bad_utf8.iter().position(|byte| *byte == b'?').unwrap();
    bad_utf8[place] = 0xff;
    assert!(decode(&bad_utf8).is_err());
}

#[test]
fn prices_are_rounded_to_the_cent_and_ratings_to_a_hundredth() {
    let product = |price: &str, rating: &str| {
        let json = format!(r#"{{"productId":"P","name":"n","price":{price},"inventory":0,"rating":{rating}}}"#);
        decode(json.as_bytes()).unwrap()
    };
    for (text, cents) in [("19.999", 2000), ("1e3", 100_000), ("20", 2000), ("0", 0), ("-0.0", 0), ("0.005", 1), ("33.333", 3333)]
    {
        assert_eq!(product(text, "0").price.cents(), cents, "{text}");
    }
    for (text, written) in [("4.333333", "4.33"), ("1e-7", "0.0"), ("5", "5.0"), ("-0.0", "0.0")] {
        let product = product("1", text);
        let json = serde_json::to_string(&ProductValue::from(&product)).unwrap();
        assert!(json.contains(&format!(r#""rating":{written},"#)), "{json}");
    }
}

#[test]
fn pictures_of_other_hosts_are_drawn_here() {
    let image = |url: &str| decode(with(&format!(r#","imageUrl":"{url}""#)).as_bytes()).unwrap().details.image_url.to_string();
    assert_eq!(image("https://pictures.example/1.png"), "/api/ecommerce/product/P/image");
    assert_eq!(image("//pictures.example/1.png"), "/api/ecommerce/product/P/image");
    for refused in [
        "/api/../admin/roles",
        "/api/ecommerce/%2e%2E/x.png",
        "/api/ecommerce/./x.png",
        "/api//evil.example/x.png",
        "/api/..\\\\evil.example",
        "/api/a picture",
        "data:text/html,<script>alert(1)</script>",
        "data:,x",
        "data:image/png",
        "DATA:image/svg+xmlx",
        "javascript:alert(1)",
        "file:///etc/passwd",
    ] {
        assert_eq!(image(refused), "/api/ecommerce/product/P/image", "{refused}");
    }
    for kept in [
        "",
        "/api/ecommerce/product/P/image?v=2",
        "/api/pictures/a..b.png",
        "data:image/png;base64,AAAA",
        "data:image/svg+xml,%3Csvg/%3E",
    ] {
        assert_eq!(image(kept), kept);
    }
    assert_eq!(generated_image_url(&ProductId::new("A b/ü").unwrap()), "/api/ecommerce/product/A%20b%2F%C3%BC/image");
}

#[test]
fn what_is_refused_names_its_field() {
    let swapped = |from: &str, to: &str| with("").replace(from, to);
    let cases = [
        (with(r#","inventory":4"#), "inventory stands twice"),
        (swapped(r#""inventory":3"#, r#""inventory":"3""#), r#"inventory: invalid type: string "3", expected an integer"#),
        (swapped(r#""inventory":3"#, r#""inventory":3.0"#), "inventory: invalid type: floating point `3.0`, expected an integer"),
        (swapped(r#""inventory":3"#, r#""inventory":true"#), "inventory: invalid type: boolean `true`, expected an integer"),
        (swapped(r#""inventory":3"#, r#""inventory":null"#), "inventory: invalid type: null, expected an integer"),
        (swapped(r#""inventory":3"#, r#""inventory":-1"#), "inventory is -1, expected an integer of at least 0"),
        (swapped(r#""inventory":3"#, r#""inventory":9223372036854775808"#), "inventory: 9223372036854775808 is too large"),
        (swapped(r#""inventory":3"#, r#""inventory":1000000000001"#), "inventory is 1000000000001"),
        (swapped(r#","inventory":3"#, ""), "inventory is missing"),
        (swapped(r#""price":9.5"#, r#""price":-0.01"#), "price is -0.01, expected 0, or a number from 0.01 to 99999999.99"),
        (swapped(r#""price":9.5"#, r#""price":1e12"#), "price is 1000000000000, expected"),
        (swapped(r#""price":9.5"#, r#""price":0.001"#), "price is 0.001, expected 0, or a number from 0.01"),
        (swapped(r#""price":9.5"#, r#""price":1e400"#), "price: number out of range"),
        (swapped(r#""price":9.5"#, r#""price":NaN"#), "price: expected value"),
        (swapped(r#""price":9.5"#, r#""price":"9,50""#), r#"price: invalid type: string "9,50", expected a number"#),
        (swapped(r#""price":9.5,"#, ""), "price is missing"),
        (swapped(r#""name":"Mug""#, r#""name":"""#), "name is empty"),
        (swapped(r#""name":"Mug""#, r#""name":"M\u0000g""#), "name contains a control character"),
        (swapped(r#""name":"Mug""#, r#""name":"M\ng""#), "name contains a control character"),
        (swapped(r#""name":"Mug""#, r#""name":{}"#), "name: invalid type: map, expected a text"),
        (swapped("Mug", &"m".repeat(501)), "name has 501 characters, at most 500 are accepted"),
        (swapped("Mug", &"m".repeat(1_000_000)), "name has 1000000 characters"),
        (swapped(r#""productId":"P""#, r#""productId":"""#), "productId is empty"),
        (swapped(r#""productId":"P""#, r#""productId":7"#), "productId: invalid type: integer `7`, expected a text"),
        (with(r#","description":"\u001b[2J""#), "description contains a control character"),
        (with(&format!(r#","tags":[{}"x"]"#, r#""x","#.repeat(50))), "tags is 51 texts, expected at most 50"),
        (with(r#","tags":["a",null]"#), "tags: invalid type: null, expected a text"),
        (with(r#","rating":5.1"#), "rating is 5.1, expected a number from 0 to 5"),
        (with(r#","reviewCount":-1"#), "reviewCount is -1"),
        (format!("{} {}", with(""), with("")), "trailing characters"),
        (r#"["P","Mug",9.5,3]"#.to_owned(), "invalid type: sequence, expected a product"),
        ("\u{feff}{}".to_owned(), "expected value"),
        (String::new(), "EOF while parsing"),
        ("null".to_owned(), "invalid type: null, expected a product"),
    ];
    for (json, expected) in cases {
        let reason = refusal(&json);
        assert!(reason.starts_with(expected), "expected {expected}\n     got {reason}");
        assert!(reason.len() < 600);
    }
}

#[test]
fn lengths_count_characters_and_not_bytes() {
    assert!(decode(with("").replace("Mug", &"é".repeat(500)).as_bytes()).is_ok());
    assert!(decode(with(&format!(r#","description":"{}""#, "d".repeat(10_000))).as_bytes()).is_ok());
    assert!(refusal(&with(&format!(r#","description":"{}""#, "d".repeat(10_001)))).starts_with("description has 10001"));
}
