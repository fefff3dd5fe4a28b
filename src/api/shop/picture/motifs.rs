//! What products look like, in a box of 200 by 200: `$a` accent, `$b` its shade, `$d` dark, `$m` middle, `$l` light.

/// A drawing of one kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Motif {
    Laptop,
    Headphones,
    Speaker,
    Screen,
    Phone,
    Camera,
    Watch,
    Device,
    Shirt,
    Dress,
    Boot,
    Bag,
    Gem,
    Pot,
    Lamp,
    Chair,
    Plant,
    Weight,
    Bicycle,
    Tent,
    Board,
    Book,
    Blocks,
    Robot,
    Bear,
    Dice,
    Flacon,
    Lipstick,
    Jar,
    Brush,
    Cup,
    Bottle,
    Loaf,
}

#[cfg(test)]
pub(super) const ALL: [Motif; 33] = {
    use Motif::*;
    [
        Laptop, Headphones, Speaker, Screen, Phone, Camera, Watch, Device, Shirt, Dress, Boot, Bag, Gem, Pot, Lamp, Chair, Plant,
        Weight, Bicycle, Tent, Board, Book, Blocks, Robot, Bear, Dice, Flacon, Lipstick, Jar, Brush, Cup, Bottle, Loaf,
    ]
};

/// Words of tags, each with the motif it asks for. A tag matches if it has the word, or its plural; the first tag that matches decides.
const WORDS: [(&str, Motif); 116] = {
    use Motif::*;
    [
        ("laptop", Laptop),
        ("headphones", Headphones),
        ("earbuds", Headphones),
        ("speaker", Speaker),
        ("turntable", Speaker),
        ("radio", Speaker),
        ("walkie", Speaker),
        ("monitor", Screen),
        ("television", Screen),
        ("tablet", Screen),
        ("led mask", Lamp),
        ("smartphone", Phone),
        ("phone", Phone),
        ("e-reader", Phone),
        ("camera", Camera),
        ("projector", Camera),
        ("microscope", Camera),
        ("telescope", Camera),
        ("watch", Watch),
        ("alarm clock", Lamp),
        ("lamp", Lamp),
        ("candle", Lamp),
        ("dress", Dress),
        ("skirt", Dress),
        ("gown", Dress),
        ("hair dryer", Brush),
        ("hair", Brush),
        ("boots", Boot),
        ("shoes", Boot),
        ("socks", Boot),
        ("briefcase", Bag),
        ("backpack", Bag),
        ("bag", Bag),
        ("hamper", Bag),
        ("earrings", Gem),
        ("necklace", Gem),
        ("ring", Gem),
        ("belt", Gem),
        ("coat", Shirt),
        ("jacket", Shirt),
        ("suit", Shirt),
        ("sweater", Shirt),
        ("cardigan", Shirt),
        ("shirt", Shirt),
        ("vest", Shirt),
        ("wetsuit", Shirt),
        ("espresso", Cup),
        ("mixer", Pot),
        ("oven", Pot),
        ("casserole", Pot),
        ("pans", Pot),
        ("plates", Pot),
        ("fire bowl", Pot),
        ("soup", Book),
        ("cookbook", Book),
        ("book", Book),
        ("novel", Book),
        ("poetry", Book),
        ("fiction", Book),
        ("stories", Book),
        ("bed frame", Chair),
        ("mattress", Chair),
        ("sofa", Chair),
        ("armchair", Chair),
        ("table football", Dice),
        ("table", Chair),
        ("desk", Chair),
        ("shelving", Chair),
        ("secateurs", Plant),
        ("raised bed", Plant),
        ("cold frame", Plant),
        ("mower", Plant),
        ("dumbbells", Weight),
        ("kettlebell", Weight),
        ("bands", Weight),
        ("treadmill", Weight),
        ("rowing", Weight),
        ("rope", Weight),
        ("bicycle", Bicycle),
        ("bike", Bicycle),
        ("trainer", Bicycle),
        ("pedal car", Bicycle),
        ("tent", Tent),
        ("sleeping", Tent),
        ("board game", Dice),
        ("word game", Dice),
        ("jigsaw", Dice),
        ("paddle", Board),
        ("kayak", Board),
        ("skis", Board),
        ("robot vacuum", Device),
        ("robot", Robot),
        ("plush", Bear),
        ("puppets", Bear),
        ("perfume", Flacon),
        ("serum", Flacon),
        ("vitamin", Flacon),
        ("lipstick", Lipstick),
        ("foundation", Lipstick),
        ("brush", Brush),
        ("trimmer", Brush),
        ("razor", Brush),
        ("shaving", Brush),
        ("flask", Bottle),
        ("bottle", Bottle),
        ("oil", Bottle),
        ("vinegar", Bottle),
        ("sauce", Bottle),
        ("coffee", Cup),
        ("tea", Cup),
        ("chocolate", Cup),
        ("honey", Jar),
        ("jam", Jar),
        ("spices", Jar),
        ("cheese", Loaf),
        ("oats", Loaf),
    ]
};

impl Motif {
    /// What a product with these tags is, as far as they say; else what its category mostly is.
    pub(super) fn of(tags: &[String], category: &str) -> Self {
        let by_tag = |tag: &String| {
            let tag = format!(" {} ", tag.to_lowercase());
            let says = |word: &str| tag.contains(&format!(" {word} ")) || tag.contains(&format!(" {word}s "));
            WORDS.iter().find(|(word, _)| says(word)).map(|(_, motif)| *motif)
        };
        tags.iter().take(3).find_map(by_tag).unwrap_or(match category {
            "Electronics" => Self::Device,
            "Fashion" => Self::Shirt,
            "Home & Garden" => Self::Plant,
            "Sports" => Self::Weight,
            "Books" => Self::Book,
            "Toys" => Self::Blocks,
            "Beauty" => Self::Jar,
            "Food & Grocery" => Self::Loaf,
            _ => Self::Gem,
        })
    }

    /// The drawing, with its inks.
    pub(super) fn paint(self, inks: &[(&'static str, String)]) -> String {
        inks.iter().fold(self.shapes().to_owned(), |drawing, (letter, colour)| drawing.replace(letter, colour))
    }

    fn shapes(self) -> &'static str {
        match self {
            Self::Laptop => {
                r#"<rect x="34" y="46" width="132" height="90" rx="9" fill="$d"/><rect x="42" y="54" width="116" height="74" rx="3" fill="$a"/><path d="M42 110 L92 66 L158 128 L42 128Z" fill="$b"/><path d="M20 140 H180 L170 156 H30Z" fill="$m"/><rect x="82" y="140" width="36" height="6" rx="3" fill="$l"/>"#
            }
            Self::Headphones => {
                r#"<path d="M40 122 V104 A60 60 0 0 1 160 104 V122" fill="none" stroke="$d" stroke-width="13"/><rect x="26" y="108" width="34" height="56" rx="15" fill="$a"/><rect x="140" y="108" width="34" height="56" rx="15" fill="$a"/><rect x="50" y="114" width="12" height="44" rx="6" fill="$b"/><rect x="138" y="114" width="12" height="44" rx="6" fill="$b"/>"#
            }
            Self::Speaker => {
                r#"<rect x="56" y="22" width="88" height="150" rx="13" fill="$d"/><circle cx="100" cy="62" r="20" fill="$m"/><circle cx="100" cy="62" r="9" fill="$l"/><circle cx="100" cy="122" r="35" fill="$a"/><circle cx="100" cy="122" r="22" fill="$b"/><circle cx="100" cy="122" r="9" fill="$l"/>"#
            }
            Self::Screen => {
                r#"<rect x="20" y="38" width="160" height="102" rx="9" fill="$d"/><rect x="28" y="46" width="144" height="86" rx="3" fill="$m"/><circle cx="134" cy="74" r="14" fill="$l"/><path d="M28 132 L76 82 L106 112 L126 96 L172 132Z" fill="$a"/><path d="M86 140 H114 L120 164 H80Z" fill="$d"/><rect x="62" y="162" width="76" height="8" rx="4" fill="$b"/>"#
            }
            Self::Phone => {
                r#"<rect x="58" y="20" width="84" height="156" rx="16" fill="$d"/><rect x="65" y="30" width="70" height="136" rx="8" fill="$l"/><rect x="74" y="42" width="52" height="42" rx="6" fill="$a"/><rect x="74" y="94" width="52" height="7" rx="3.5" fill="$m"/><rect x="74" y="110" width="38" height="7" rx="3.5" fill="$m"/><rect x="74" y="138" width="52" height="16" rx="8" fill="$b"/>"#
            }
            Self::Camera => {
                r#"<path d="M70 56 L80 38 H120 L130 56Z" fill="$m"/><rect x="24" y="54" width="152" height="102" rx="14" fill="$d"/><rect x="24" y="84" width="152" height="36" fill="$b"/><circle cx="100" cy="106" r="41" fill="$l"/><circle cx="100" cy="106" r="32" fill="$a"/><circle cx="100" cy="106" r="18" fill="$d"/><circle cx="91" cy="97" r="6" fill="$l"/><rect x="144" y="66" width="20" height="9" rx="4.5" fill="$l"/>"#
            }
            Self::Watch => {
                r#"<path d="M76 16 H124 L130 66 H70Z" fill="$b"/><path d="M70 134 H130 L124 184 H76Z" fill="$b"/><circle cx="100" cy="100" r="54" fill="$d"/><circle cx="100" cy="100" r="44" fill="$l"/><path d="M100 68 V100 L122 113" fill="none" stroke="$d" stroke-width="7"/><circle cx="100" cy="100" r="6" fill="$a"/><rect x="153" y="92" width="11" height="16" rx="4" fill="$a"/>"#
            }
            Self::Device => {
                r#"<rect x="34" y="58" width="132" height="92" rx="22" fill="$d"/><rect x="44" y="68" width="112" height="52" rx="14" fill="$m"/><circle cx="70" cy="94" r="14" fill="$a"/><rect x="96" y="84" width="46" height="8" rx="4" fill="$l"/><rect x="96" y="100" width="30" height="8" rx="4" fill="$l"/><rect x="56" y="130" width="88" height="8" rx="4" fill="$b"/><path d="M100 58 V34 M82 40 A26 26 0 0 1 118 40" fill="none" stroke="$a" stroke-width="7"/>"#
            }
            Self::Shirt => {
                r#"<path d="M72 34 L30 58 L42 96 L60 88 V168 H140 V88 L158 96 L170 58 L128 34 Q100 60 72 34Z" fill="$a"/><path d="M72 34 Q100 60 128 34 L120 30 Q100 46 80 30Z" fill="$d"/><path d="M100 56 V168" stroke="$b" stroke-width="5"/><circle cx="110" cy="84" r="4" fill="$l"/><circle cx="110" cy="110" r="4" fill="$l"/><circle cx="110" cy="136" r="4" fill="$l"/>"#
            }
            Self::Dress => {
                r#"<path d="M78 28 V48 L68 64 L84 92 L48 172 H152 L116 92 L132 64 L122 48 V28 Q118 50 100 54 Q82 50 78 28Z" fill="$a"/><path d="M82 88 H118 L122 102 H78Z" fill="$d"/><path d="M92 102 L80 172 M108 102 L120 172" stroke="$b" stroke-width="5"/>"#
            }
            Self::Boot => {
                r#"<path d="M62 30 H116 V98 Q122 116 156 122 Q176 127 176 150 H62Z" fill="$a"/><path d="M62 30 H116 V50 H62Z" fill="$b"/><path d="M56 150 H182 V162 Q182 168 176 168 H62 Q56 168 56 162Z" fill="$d"/><path d="M98 66 H116 M98 82 H116 M100 98 H120" stroke="$l" stroke-width="6"/>"#
            }
            Self::Bag => {
                r#"<path d="M72 70 V54 A28 28 0 0 1 128 54 V70" fill="none" stroke="$d" stroke-width="10"/><path d="M34 66 H166 L174 160 Q174 170 164 170 H36 Q26 170 26 160Z" fill="$a"/><path d="M34 66 H166 L168 100 Q100 126 32 100Z" fill="$b"/><rect x="88" y="100" width="24" height="28" rx="5" fill="$l"/>"#
            }
            Self::Gem => {
                r#"<circle cx="100" cy="126" r="46" fill="none" stroke="$d" stroke-width="11"/><path d="M70 34 H130 L152 60 L100 108 L48 60Z" fill="$a"/><path d="M48 60 H152 L100 108Z" fill="$b"/><path d="M70 34 L84 60 L100 34 L116 60 L130 34Z" fill="$l"/>"#
            }
            Self::Pot => {
                r#"<rect x="18" y="92" width="164" height="14" rx="7" fill="$d"/><path d="M36 86 H164 V140 Q164 166 138 166 H62 Q36 166 36 140Z" fill="$a"/><path d="M36 118 H164 V134 H36Z" fill="$b"/><path d="M34 84 Q100 34 166 84Z" fill="$m"/><circle cx="100" cy="50" r="10" fill="$d"/>"#
            }
            Self::Lamp => {
                r#"<path d="M72 30 H128 L154 96 H46Z" fill="$a"/><path d="M56 104 H144 L166 150 H34Z" fill="$l" opacity=".8"/><rect x="95" y="96" width="10" height="68" rx="5" fill="$d"/><rect x="66" y="162" width="68" height="12" rx="6" fill="$d"/><path d="M84 30 L72 96" stroke="$b" stroke-width="6"/>"#
            }
            Self::Chair => {
                r#"<rect x="50" y="30" width="100" height="86" rx="26" fill="$a"/><rect x="28" y="82" width="34" height="66" rx="16" fill="$b"/><rect x="138" y="82" width="34" height="66" rx="16" fill="$b"/><rect x="52" y="104" width="96" height="44" rx="13" fill="$m"/><path d="M48 148 L42 174 M152 148 L158 174" stroke="$d" stroke-width="9"/>"#
            }
            Self::Plant => {
                r#"<path d="M100 126 C100 82 62 66 34 64 C36 98 60 122 100 126Z" fill="$a"/><path d="M100 112 C102 66 132 42 168 38 C170 78 144 108 100 112Z" fill="$b"/><path d="M100 132 V78" stroke="$d" stroke-width="6"/><path d="M62 122 H138 L128 172 H72Z" fill="$m"/><rect x="56" y="116" width="88" height="15" rx="7" fill="$d"/>"#
            }
            Self::Weight => {
                r#"<rect x="56" y="92" width="88" height="16" rx="6" fill="$m"/><rect x="44" y="54" width="26" height="92" rx="10" fill="$a"/><rect x="130" y="54" width="26" height="92" rx="10" fill="$a"/><rect x="22" y="68" width="22" height="64" rx="9" fill="$d"/><rect x="156" y="68" width="22" height="64" rx="9" fill="$d"/><rect x="52" y="64" width="7" height="34" rx="3.5" fill="$l"/><rect x="138" y="64" width="7" height="34" rx="3.5" fill="$l"/>"#
            }
            Self::Bicycle => {
                r#"<circle cx="50" cy="128" r="36" fill="none" stroke="$d" stroke-width="9"/><circle cx="150" cy="128" r="36" fill="none" stroke="$d" stroke-width="9"/><path d="M50 128 L82 72 H132 L96 128 H50 M82 72 L96 128 M150 128 L126 54 H142" fill="none" stroke="$a" stroke-width="9"/><path d="M68 64 H96" stroke="$b" stroke-width="11"/><circle cx="96" cy="128" r="11" fill="$m"/>"#
            }
            Self::Tent => {
                r#"<circle cx="148" cy="48" r="18" fill="$l"/><path d="M100 46 L18 166 H182Z" fill="$a"/><path d="M100 46 L182 166 H130Z" fill="$b"/><path d="M100 84 L68 166 H132Z" fill="$d"/><path d="M100 84 L92 166 H68Z" fill="$m"/>"#
            }
            Self::Board => {
                r#"<g transform="rotate(24 100 100)"><path d="M100 12 C132 52 134 140 116 182 H84 C66 140 68 52 100 12Z" fill="$a"/><path d="M100 12 C116 52 118 140 108 182 H92 C82 140 84 52 100 12Z" fill="$l"/><path d="M72 106 H128 L126 124 H74Z" fill="$d"/></g><path d="M22 164 Q62 148 100 164 T178 164" fill="none" stroke="$m" stroke-width="10"/>"#
            }
            Self::Book => {
                r#"<path d="M46 36 Q46 24 58 24 H156 V152 H58 Q46 152 46 164Z" fill="$a"/><path d="M46 164 Q46 152 58 152 H156 V176 H58 Q46 176 46 164Z" fill="$l"/><path d="M58 24 H72 V152 H58 Q46 152 46 164 V36 Q46 24 58 24Z" fill="$b"/><rect x="90" y="52" width="48" height="9" rx="4.5" fill="$l"/><rect x="90" y="70" width="32" height="9" rx="4.5" fill="$l"/><circle cx="114" cy="114" r="17" fill="$d"/>"#
            }
            Self::Blocks => {
                r#"<rect x="26" y="104" width="66" height="66" rx="9" fill="$a"/><rect x="100" y="104" width="66" height="66" rx="9" fill="$m"/><rect x="62" y="34" width="66" height="66" rx="9" fill="$b"/><path d="M59 120 L76 152 H42Z" fill="$l"/><circle cx="133" cy="137" r="17" fill="$l"/><rect x="80" y="52" width="30" height="30" rx="5" fill="$l"/>"#
            }
            Self::Robot => {
                r#"<path d="M100 44 V24" stroke="$d" stroke-width="7"/><circle cx="100" cy="22" r="9" fill="$b"/><rect x="54" y="44" width="92" height="66" rx="17" fill="$a"/><circle cx="81" cy="76" r="12" fill="$l"/><circle cx="119" cy="76" r="12" fill="$l"/><circle cx="83" cy="77" r="5" fill="$d"/><circle cx="121" cy="77" r="5" fill="$d"/><rect x="64" y="118" width="72" height="50" rx="12" fill="$m"/><path d="M58 126 L38 148 M142 126 L162 148" stroke="$d" stroke-width="11"/><rect x="82" y="134" width="36" height="15" rx="7" fill="$l"/>"#
            }
            Self::Bear => {
                r#"<circle cx="66" cy="46" r="19" fill="$b"/><circle cx="134" cy="46" r="19" fill="$b"/><circle cx="100" cy="76" r="46" fill="$a"/><ellipse cx="100" cy="146" rx="46" ry="34" fill="$a"/><ellipse cx="100" cy="92" rx="22" ry="17" fill="$l"/><circle cx="82" cy="68" r="6" fill="$d"/><circle cx="118" cy="68" r="6" fill="$d"/><ellipse cx="100" cy="86" rx="8" ry="6" fill="$d"/><ellipse cx="100" cy="148" rx="24" ry="20" fill="$l"/>"#
            }
            Self::Dice => {
                r#"<g transform="rotate(-12 78 112)"><rect x="30" y="66" width="92" height="92" rx="17" fill="$a"/><circle cx="54" cy="90" r="9" fill="$l"/><circle cx="76" cy="112" r="9" fill="$l"/><circle cx="98" cy="134" r="9" fill="$l"/></g><g transform="rotate(16 134 74)"><rect x="102" y="40" width="66" height="66" rx="13" fill="$d"/><circle cx="120" cy="58" r="6.5" fill="$l"/><circle cx="150" cy="88" r="6.5" fill="$l"/></g>"#
            }
            Self::Flacon => {
                r#"<rect x="82" y="20" width="36" height="32" rx="5" fill="$d"/><rect x="90" y="52" width="20" height="13" fill="$m"/><rect x="46" y="64" width="108" height="108" rx="17" fill="$l"/><path d="M46 104 Q100 88 154 104 V155 Q154 172 137 172 H63 Q46 172 46 155Z" fill="$a"/><rect x="72" y="112" width="56" height="36" rx="5" fill="$l"/><rect x="82" y="126" width="36" height="7" rx="3.5" fill="$b"/>"#
            }
            Self::Lipstick => {
                r#"<path d="M82 92 V46 L118 28 V92Z" fill="$a"/><path d="M82 46 L118 28 V44 L82 60Z" fill="$b"/><rect x="76" y="86" width="48" height="28" fill="$l"/><rect x="66" y="110" width="68" height="64" rx="7" fill="$d"/><rect x="66" y="122" width="68" height="9" fill="$m"/>"#
            }
            Self::Jar => {
                r#"<rect x="56" y="30" width="88" height="30" rx="9" fill="$d"/><rect x="66" y="58" width="68" height="13" fill="$m"/><rect x="44" y="68" width="112" height="104" rx="22" fill="$l"/><path d="M44 92 Q72 80 100 92 T156 92 V150 Q156 172 134 172 H66 Q44 172 44 150Z" fill="$a"/><rect x="64" y="104" width="72" height="42" rx="7" fill="$l"/><path d="M82 125 H118" stroke="$b" stroke-width="8"/>"#
            }
            Self::Brush => {
                r#"<g transform="rotate(28 100 100)"><rect x="88" y="94" width="24" height="92" rx="12" fill="$d"/><rect x="84" y="78" width="32" height="24" rx="5" fill="$m"/><path d="M82 80 Q66 34 100 12 Q134 34 118 80Z" fill="$a"/><path d="M92 78 Q84 44 100 22 M108 78 Q116 44 104 26" fill="none" stroke="$b" stroke-width="5"/></g>"#
            }
            Self::Cup => {
                r#"<path d="M76 56 Q66 42 76 30 M102 56 Q92 42 102 26 M128 56 Q118 42 128 30" fill="none" stroke="$m" stroke-width="7"/><path d="M140 88 H152 A22 22 0 0 1 152 132 H136" fill="none" stroke="$b" stroke-width="11"/><path d="M44 72 H146 V122 Q146 156 112 156 H78 Q44 156 44 122Z" fill="$a"/><ellipse cx="95" cy="74" rx="51" ry="11" fill="$d"/><rect x="34" y="160" width="122" height="11" rx="5.5" fill="$d"/>"#
            }
            Self::Bottle => {
                r#"<rect x="86" y="16" width="28" height="20" rx="5" fill="$d"/><path d="M88 36 H112 V62 Q136 78 136 104 V160 Q136 174 122 174 H78 Q64 174 64 160 V104 Q64 78 88 62Z" fill="$a"/><path d="M112 62 Q136 78 136 104 V160 Q136 174 122 174 H110 V62Z" fill="$b"/><rect x="64" y="106" width="72" height="44" fill="$l"/><circle cx="100" cy="128" r="12" fill="$m"/>"#
            }
            Self::Loaf => {
                r#"<path d="M34 92 Q26 44 70 46 Q100 30 130 46 Q174 44 166 92 V146 Q166 166 146 166 H54 Q34 166 34 146Z" fill="$a"/><path d="M48 96 Q44 60 76 62 Q100 50 124 62 Q156 60 152 96 V140 Q152 152 140 152 H60 Q48 152 48 140Z" fill="$l"/><path d="M76 84 L88 120 M104 80 L114 116" stroke="$b" stroke-width="8"/>"#
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_decide_and_the_category_answers_for_the_rest() {
        let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        assert_eq!(Motif::of(&tags(&["Paddle board", "sup"]), "Sports"), Motif::Board);
        assert_eq!(Motif::of(&tags(&["board game"]), "Toys"), Motif::Dice);
        assert_eq!(Motif::of(&tags(&["robot vacuum"]), "Home & Garden"), Motif::Device);
        assert_eq!(Motif::of(&tags(&["reading", "armchair"]), "Home & Garden"), Motif::Chair);
        assert_eq!(Motif::of(&tags(&["speakers"]), "Electronics"), Motif::Speaker);
        assert_eq!(Motif::of(&tags(&["charger"]), "Electronics"), Motif::Device);
        assert_eq!(Motif::of(&[], "Unheard Of"), Motif::Gem);
    }
}
