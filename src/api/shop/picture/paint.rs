//! Turns a drawing's shapes into SVG elements.

use std::fmt::Write as _;

use super::colours::Inks;

/// Appends the shapes of a drawing. A line that cannot be read is left out; a test reads every line of every motif.
pub(super) fn paint(svg: &mut String, drawing: &str, inks: &Inks) {
    for line in drawing.lines() {
        let _ = shape(svg, line, inks);
    }
}

/// Appends one shape.
fn shape(svg: &mut String, line: &str, inks: &Inks) -> Option<()> {
    let (ink, rest) = line.split_once(' ')?;
    let (kind, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let letter = ink.chars().next()?;
    let numbers: Vec<&str> = rest.split(' ').collect();
    // Writing to a String has nothing to fail on.
    let _ = match (kind, numbers.as_slice()) {
        ("g", _) => write!(svg, r#"<g transform="{rest}">"#),
        ("/", _) => write!(svg, "</g>"),
        ("r", [x, y, width, height, round @ ..]) => {
            let _ = write!(svg, r#"<rect x="{x}" y="{y}" width="{width}" height="{height}""#);
            round.first().map_or(Ok(()), |radius| write!(svg, r#" rx="{radius}""#))
        }
        ("c", [x, y, radius]) => write!(svg, r#"<circle cx="{x}" cy="{y}" r="{radius}""#),
        ("e", [x, y, rx, ry]) => write!(svg, r#"<ellipse cx="{x}" cy="{y}" rx="{rx}" ry="{ry}""#),
        ("o", [width, x, y, radius]) => {
            write!(svg, r#"<circle cx="{x}" cy="{y}" r="{radius}" fill="none" stroke-width="{width}""#)
        }
        ("p", _) => write!(svg, r#"<path d="{rest}""#),
        ("l", [width, ..]) => {
            let path = rest.get(width.len() + 1..)?;
            write!(svg, r#"<path d="{path}" fill="none" stroke-width="{width}""#)
        }
        _ => return None,
    };
    if !matches!(kind, "g" | "/") {
        let part = if matches!(kind, "l" | "o") { "stroke" } else { "fill" };
        let _ = write!(svg, r#" {part}="{}"/>"#, inks.of(letter)?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::colours::Inks;
    use super::super::motifs;
    use super::*;

    #[test]
    fn every_line_of_every_motif_is_a_shape() {
        for motif in motifs::ALL.iter() {
            let mut svg = String::new();
            let mut open = 0_i32;
            for line in motif.drawing.lines() {
                assert!(shape(&mut svg, line, &Inks::plain()).is_some(), "{}: {line}", motif.name);
                open += i32::from(line.starts_with(". g")) - i32::from(line == ". /");
                assert!(open >= 0, "{}: closes what is not open", motif.name);
            }
            assert_eq!(open, 0, "{}: leaves a group open", motif.name);
            let strange = |c: char| !c.is_ascii() || matches!(c, '&' | '\'');
            assert!(!svg.contains(strange) && !svg.contains("NaN"), "{}: {svg}", motif.name);
            assert!(svg.len() < 3300, "{} takes {} bytes", motif.name, svg.len());
        }
    }

    #[test]
    fn a_line_that_is_no_shape_is_left_out() {
        for line in ["", "a", "a z 1 2", "a c 1 2", "? c 1 2 3", "a r 1"] {
            assert!(shape(&mut String::new(), line, &Inks::plain()).is_none(), "{line}");
        }
    }
}
