//! Pictures in the chapters: `docs/workshop/pictures/`, which `tools/workshop-pictures.sh` takes from the real program.

use rust_embed::EmbeddedFile;

use super::Files;

/// Beside the chapters, so that one address serves a code host and the console's pages at `/workshop/N`.
const FOLDER: &str = "pictures/";

/// A picture as a page shows it.
pub(super) struct Picture {
    pub address: String,
    /// In pixels.
    pub width: u32,
    pub height: u32,
}

impl Picture {
    /// The picture that a chapter names; none if it names anything else.
    pub fn at(named: &str) -> Option<Self> {
        let (width, height) = size(&picture(named)?.data)?;
        Some(Self { address: format!("/workshop/{named}"), width, height })
    }
}

/// A picture's file by its place beside the chapters: `pictures/empty.webp`.
#[must_use]
pub fn picture(path: &str) -> Option<EmbeddedFile> {
    let name = path.strip_prefix(FOLDER)?.strip_suffix(".webp")?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.bytes().all(plain).then(|| Files::get(path))?
}

/// Width and height of a WebP file with an extended header, which is how Chromium writes it.
/// <https://developers.google.com/speed/webp/docs/riff_container#extended_file_format>
fn size(file: &[u8]) -> Option<(u32, u32)> {
    let header = file.get(..30).filter(|header| header.starts_with(b"RIFF") && header[8..].starts_with(b"WEBPVP8X"))?;
    let side = |at: usize| 1 + u32::from_le_bytes([header[at], header[at + 1], header[at + 2], 0]);
    Some((side(24), side(27)))
}

#[cfg(test)]
mod tests {
    use super::super::{Block, chapters};
    use super::*;

    #[test]
    fn every_picture_is_in_a_chapter_and_every_chapter_has_its_pictures() {
        let html = |block: &Block| match block {
            Block::Prose(html) | Block::Notes(html) => html.clone(),
            Block::Step(_) | Block::Check(_) => String::new(),
        };
        let shown: String = chapters().unwrap().iter().flat_map(|chapter| &chapter.blocks).map(html).collect();
        let files: Vec<_> = Files::iter().filter(|name| name.starts_with(FOLDER)).collect();
        assert!(!files.is_empty());
        for file in files {
            assert!(shown.contains(&format!("src=\"/workshop/{file}\" alt=\"")), "{file} is in no chapter");
        }
        assert!(!shown.contains("Picture: "), "a chapter names a picture that is not there");
    }

    #[test]
    fn other_files_have_no_size() {
        for file in [&b""[..], b"RIFF\0\0\0\0WEBPVP8X", &[b' '; 64], b"RIFF\0\0\0\0WEBPVP8 and many more bytes"] {
            assert_eq!(size(file), None);
        }
    }
}
