//! Which content coding of an answer a client accepts (RFC 9110, section 12.5.3).

use axum::http::{HeaderMap, HeaderValue, header};

/// The `Vary` header of answers that have several codings.
pub const VARY: HeaderValue = HeaderValue::from_static("accept-encoding");

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    Brotli,
    Gzip,
}

impl Encoding {
    /// The one with the smaller result first.
    pub const ALL: [Self; 2] = [Self::Brotli, Self::Gzip];

    /// Its name in headers.
    #[must_use]
    pub fn name(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }

    /// Its file name extension in the build of the pages.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// The codings that a client accepts, in its order of preference; none without `Accept-Encoding`.
pub fn accepted(headers: &HeaderMap) -> impl Iterator<Item = Encoding> {
    let mut liked: Vec<(Encoding, u32)> = Encoding::ALL.into_iter().map(|one| (one, weight(headers, one.as_str()))).collect();
    liked.retain(|(_, weight)| *weight > 0);
    liked.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    liked.into_iter().map(|(encoding, _)| encoding)
}

/// A client's quality value of a coding, in thousandths: the one given for it, else the one for `*`.
fn weight(headers: &HeaderMap, name: &str) -> u32 {
    let (mut own, mut others) = (None, None);
    let texts = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    for part in texts.flat_map(|text| text.split(',')) {
        let mut words = part.split(';').map(str::trim);
        let coding = words.next().unwrap_or_default();
        let weight = words.find_map(|word| word.strip_prefix("q=").or_else(|| word.strip_prefix("Q=")));
        let weight = weight.map_or(1000, thousandths);
        if coding.eq_ignore_ascii_case(name) {
            own = Some(weight);
        } else if coding == "*" {
            others = Some(weight);
        }
    }
    own.or(others).unwrap_or_default()
}

/// A number from 0 to 1; anything else counts as 0.
fn thousandths(text: &str) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
    text.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight)).map_or(0, |weight| (weight * 1000.0) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_what_it_likes_best() {
        use Encoding::{Brotli, Gzip};
        for (said, expected) in [
            ("gzip, deflate, br", vec![Brotli, Gzip]),
            ("gzip", vec![Gzip]),
            ("GZIP;q=0.5", vec![Gzip]),
            ("br;q=0.1, gzip;q=0.9", vec![Gzip, Brotli]),
            ("br;q=0, gzip", vec![Gzip]),
            ("*", vec![Brotli, Gzip]),
            ("*;q=0, gzip", vec![Gzip]),
            ("identity", vec![]),
            ("", vec![]),
            ("br;q=nonsense", vec![]),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, said.parse().unwrap())]);
            assert_eq!(accepted(&headers).collect::<Vec<_>>(), expected, "{said}");
        }
        assert_eq!(accepted(&HeaderMap::new()).count(), 0);
    }
}
