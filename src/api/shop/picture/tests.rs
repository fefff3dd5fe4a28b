use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;

use super::*;

/// A product of the shipped catalogue.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shipped {
    product_id: String,
    name: String,
    brand: String,
    category: String,
    tags: Vec<String>,
}

impl Shipped {
    fn subject(&self) -> Subject<'_> {
        Subject { id: &self.product_id, name: &self.name, brand: &self.brand, category: &self.category, tags: &self.tags }
    }
}

fn shipped() -> Vec<Shipped> {
    let products: Vec<Shipped> = serde_json::from_str(include_str!("../../../../data/initial-products.json")).unwrap();
    assert_eq!(products.len(), 200);
    products
}

/// One of each category in turn, as a front page may order them.
fn interleaved(products: &[Shipped]) -> Vec<&Shipped> {
    let mut shelves: BTreeMap<&str, Vec<&Shipped>> = BTreeMap::new();
    for product in products {
        shelves.entry(&product.category).or_default().push(product);
    }
    let longest = shelves.values().map(Vec::len).max().unwrap();
    (0..longest).flat_map(|nth| shelves.values().filter_map(move |shelf| shelf.get(nth).copied())).collect()
}

fn subject<'a>(name: &'a str, tags: &'a [String]) -> Subject<'a> {
    Subject { id: "PROD_0001", name, brand: "Brand", category: "Odds", tags }
}

fn said(shown: Depicted) -> &'static str {
    match shown {
        Depicted::Thing(motif) => motif.name,
        Depicted::Book => "(book)",
        Depicted::Parcel => "(parcel)",
    }
}

/// What a product of this name and these tags, separated by commas, is shown as.
fn shown(name: &str, tags: &str) -> &'static str {
    let tags: Vec<String> = tags.split(',').filter(|tag| !tag.is_empty()).map(|tag| tag.trim().to_owned()).collect();
    said(words::shown(&subject(name, &tags)))
}

/// Each product's motif, looked at: a change here wants a look at the picture.
#[test]
fn every_shipped_product_shows_what_it_is() {
    let mut table = String::new();
    for product in shipped() {
        let motif = said(words::shown(&product.subject()));
        assert_ne!(motif, "(parcel)", "{}: nothing drawn for it", product.name);
        writeln!(table, "{} | {:40} | {motif}", product.product_id, product.name).unwrap();
    }
    insta::assert_snapshot!("shipped", table);
}

#[test]
fn a_name_says_what_a_thing_is_at_its_end() {
    let cases = [
        ("Brass Desk Lamp", "desk,office", "table lamp"),
        ("Laptop Stand", "laptop", "laptop stand"),
        ("Oak Coffee Table", "coffee", "coffee table"),
        ("Coffee Table Book", "book", "(book)"),
        ("Coffee Mugs, Set of Four", "coffee", "mug"),
        ("Bag of Coffee", "", "coffee"),
        ("A Pair of Blue Jeans", "", "jeans"),
        ("Box of Chocolates", "", "chocolate box"),
        ("A Bottle of Wine for Two", "", "wine"),
        ("Ring of Small Hours", "", "ring"),
        ("Knife Pleat Skirt", "", "skirt"),
        ("Watch Cap", "", "beanie"),
        ("WATCHES", "", "watch"),
        ("Kitchen Knives", "", "knife"),
        ("Running Shoes, Size 42", "", "running shoes"),
        ("E-Readers", "", "paper reader"),
        ("Dolls’ House", "", "dolls house"),
        ("Camera 3000 Pro", "", "camera"),
        ("Zorb 3000", "gift, headphones", "headphones"),
        ("Suit for a Camera", "", "suit"),
        ("Grove Olive Oil, 3 Litre Tin", "", "olive oil tin"),
    ];
    for (name, tags, expected) in cases {
        assert_eq!(shown(name, tags), expected, "{name} ({tags})");
    }
}

#[test]
fn what_only_belongs_to_a_thing_or_is_called_like_one_is_not_drawn_as_it() {
    let cases = [
        ("Bicycle Bell", "bicycle, bell", "(parcel)"),
        ("Phone Case", "phone", "(parcel)"),
        ("Guitar Strings", "guitar", "(parcel)"),
        ("Lamp Oil", "", "(parcel)"),
        ("Ice Cream", "", "(parcel)"),
        ("Computer Desk", "computer", "desk"),
        ("The Long Watch", "board game, cooperative", "board game"),
        ("The Last Camera", "novel", "(book)"),
        ("Plush Mouse", "plush, soft toy", "(parcel)"),
        ("Warm Badger", "plush", "badger"),
        ("Apple", "fruit", "fruit"),
        ("Pineapple", "", "(parcel)"),
        ("Something", "", "(parcel)"),
        ("", "", "(parcel)"),
        ("\u{202e}\u{fffe}", "\u{300}", "(parcel)"),
    ];
    for (name, tags, expected) in cases {
        assert_eq!(shown(name, tags), expected, "{name} ({tags})");
    }
    for category in ["Electronics", "Fashion", "Home & Garden", "Sports", "Toys", "Beauty", "Food & Grocery", "", "Unheard Of"] {
        let unknown = Subject { category, ..subject("Thingamajig", &[]) };
        assert_eq!(said(words::shown(&unknown)), "(parcel)", "{category} is not one thing");
    }
    assert_eq!(said(words::shown(&Subject { category: "Watches", ..subject("Thingamajig", &[]) })), "watch");
    assert_eq!(said(words::shown(&Subject { category: "books", ..subject("The Teapot", &[]) })), "(book)");
}

#[test]
fn colours_are_those_that_the_words_name() {
    let main = |name: &str, tags: &[String]| Look::of(&subject(name, tags)).inks.main;
    for (name, hues) in [
        ("Red Lipstick", 0..20),
        ("Three Honest Reds Lipstick", 0..20),
        ("Navy Overcoat", 210..232),
        ("Teal Sofa", 174..190),
        ("Moss Wool Sofa", 70..100),
        ("Marigold Silk Square", 30..48),
    ] {
        assert!(hues.contains(&main(name, &[]).0), "{name}: {:?}", main(name, &[]));
    }
    assert_eq!(main("Red and Blue Kite", &[]), main("Red Kite", &[]), "the first colour is the thing's");
    assert!(
        main("Dark Green Sofa", &[]).2 < main("Green Sofa", &[]).2 && main("Pale Green Sofa", &[]).2 > main("Green Sofa", &[]).2
    );
    assert_eq!(main("Sofa", &["moss".to_owned()]), main("Moss Sofa", &[]), "a tag's colour, if the name has none");
    let wood = |name: &str| draw(subject(name, &[]));
    assert_ne!(wood("Oak Table"), wood("Ash Table").replace("Ash", "Oak"), "wood is the table's own");
    assert!(main("Steel Flask", &[]).1 < 20, "what is all of steel is grey");
    assert!(main("Bicycle Red", &[]).0 < 20 && main("Bored Sofa", &[]).0 == main("Sofa", &[]).0, "only whole words");
    for motif in motifs::ALL.iter().filter(|motif| !motif.usual.is_empty()) {
        assert!(colours::is_named(motif.usual), "{} is usually {}", motif.name, motif.usual);
    }
}

#[test]
fn a_category_has_colours_of_its_own_choice_and_not_one() {
    let mut hues: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for product in shipped() {
        let hue = Look::of(&product.subject()).inks.main.0 / 30;
        hues.entry(product.category).or_default().insert(hue);
    }
    for (category, hues) in hues {
        assert!(hues.len() >= 6, "{category}: {hues:?}");
    }
}

/// Too alike to stand side by side: the same motif in about the same colour, or at the same angle before the same shape.
fn alike(one: &Shipped, other: &Shipped) -> bool {
    let (one, other) = (Look::of(&one.subject()), Look::of(&other.subject()));
    if one.shown != other.shown {
        return false;
    }
    let (a, b) = (one.inks.main, other.inks.main);
    let hues = (i32::from(a.0) - i32::from(b.0)).rem_euclid(360);
    let same_colour = hues.min(360 - hues) < 8 && a.2.abs_diff(b.2) < 5;
    same_colour || (one.tilt == other.tilt && one.backdrop == other.backdrop)
}

#[test]
fn no_two_equal_neighbours_in_a_row() {
    let products = shipped();
    let by_id: Vec<&Shipped> = products.iter().collect();
    for order in [by_id, interleaved(&products)] {
        for columns in 4..=6 {
            for (at, product) in order.iter().enumerate() {
                // The rest of its row, and the one below.
                let row = (at + 1..(at / columns + 1) * columns).chain([at + columns]);
                for other in row.filter_map(|at| order.get(at)) {
                    assert!(!alike(product, other), "{} and {} with {columns} columns", product.name, other.name);
                }
            }
        }
    }
    let drawn: BTreeSet<String> = products.iter().map(|product| draw(product.subject())).collect();
    assert_eq!(drawn.len(), 200);
}

#[test]
fn two_things_of_one_kind_are_unalike_in_any_order() {
    let products = shipped();
    for (at, one) in products.iter().enumerate() {
        for other in products.iter().skip(at + 1).filter(|_| one.category != "Books") {
            assert!(!alike(one, other), "{} and {}", one.name, other.name);
        }
    }
}

#[test]
fn a_picture_is_always_the_same_and_asks_for_nothing() {
    for product in shipped() {
        let svg = draw(product.subject());
        assert_eq!(svg, draw(product.subject()));
        assert!(svg.len() <= 6144, "{}: {} bytes", product.name, svg.len());
        for banned in ["style", "<script", "href", "url(", "data:", "<image", "<use", "foreignObject", "class=", " on"] {
            let attributes: String = svg.split('<').filter(|tag| !tag.starts_with("t")).collect();
            assert!(!attributes.contains(banned), "{}: {banned}", product.name);
        }
        assert_eq!(svg.matches("http").count(), 1, "only the namespace");
        assert!(svg.contains("width=\"600\" height=\"600\" viewBox=\"0 0 600 600\""));
    }
}

#[test]
fn a_title_is_well_formed_whatever_the_name() {
    let every: String = (0..=0x2_ffff).filter_map(char::from_u32).collect();
    let svg = draw(subject(&every, &[]));
    let title = svg.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).unwrap().0;
    let is_char = |c: char| matches!(c, '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert_eq!(title.chars().find(|c| !is_char(*c) || matches!(c, '<' | '>')), None);
    assert!(title.contains('\u{fffd}') && title.contains('\u{1fffe}') && title.contains('\u{202e}'), "legal ones stay");
}

#[test]
fn a_cover_holds_any_title_and_any_author() {
    let long = |text: &str| text.repeat(500 / text.chars().count().max(1));
    let texts = [
        "W",
        "il",
        "&",
        "<b>",
        "\u{202e}ab",
        "Z\u{301}\u{302}\u{303}\u{304}",
        "🧑‍🚀",
        "图书",
        "ผลิต",
        "שלום ",
        "word ",
        "\u{fffe}",
        "\u{e000}",
    ];
    for text in texts {
        let (name, brand) = (long(text), text.repeat(20));
        for number in 0..6 {
            let id = format!("BOOK_{number}");
            let svg = draw(Subject { id: &id, name: &name, brand: &brand, category: "Books", tags: &[] });
            assert!(svg.len() <= 6144, "{text}: {} bytes", svg.len());
            let letters = svg.split_once("</title>").unwrap().1;
            assert!(!letters.contains(['\u{202e}', '\u{fffe}', '\u{e000}']), "{text}: {letters}");
            let lines: Vec<&str> = letters.split("<text ").skip(1).collect();
            assert!(lines.len() <= 9, "{text}: {} lines", lines.len());
            for line in lines {
                let written = line.split_once('>').unwrap().1.split_once("</text>").unwrap().0;
                let plain = written.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
                assert!(plain.chars().filter(|c| !matches!(c, '\u{300}'..='\u{36f}')).count() <= 40, "{text}: {plain}");
            }
        }
    }
}

#[test]
fn a_set_is_drawn_as_several() {
    let copies = |name: &str, tags: &[String]| Look::of(&subject(name, tags)).copies;
    assert_eq!(copies("White Shirts, Set of Two", &[]), 2);
    assert_eq!(copies("Olive Oil, Two Bottles", &[]), 2);
    assert_eq!(copies("Sunscreen Trio", &[]), 3);
    assert_eq!(copies("Honey", &["set of 3".to_owned()]), 3);
    assert_eq!(copies("Two-Tone Mug", &[]), 1);
    assert_eq!(copies("Charger", &["four port".to_owned()]), 1);
    assert_eq!(copies("Grand Piano, Set of Two", &[]), 1, "a motif that does not come in sets");
}
