//! PostgreSQL's binary `numeric`.

use super::decode::{Malformed, Reader};

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// The text that PostgreSQL itself writes, such as `-12.340` or `NaN`.
pub(super) fn text(raw: &[u8]) -> Result<String, Malformed> {
    let mut reader = Reader::new(raw);
    let count = u16::from_be_bytes(reader.array()?);
    let weight = i32::from(i16::from_be_bytes(reader.array()?));
    let sign = u16::from_be_bytes(reader.array()?);
    let scale = usize::from(u16::from_be_bytes(reader.array()?));
    match sign {
        NAN => return Ok("NaN".to_owned()),
        INFINITY => return Ok("Infinity".to_owned()),
        NEGATIVE_INFINITY => return Ok("-Infinity".to_owned()),
        _ => {}
    }
    let mut digits = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        digits.push(u16::from_be_bytes(reader.array()?));
    }
    // Digits are in base 10,000; the first has the weight 10,000^weight.
    let digit = |position: i32| -> u16 {
        usize::try_from(position).ok().and_then(|index| digits.get(index).copied()).unwrap_or(0)
    };
    let mut out = String::new();
    if sign == NEGATIVE {
        out.push('-');
    }
    if weight < 0 {
        out.push('0');
    } else {
        out.push_str(&digit(0).to_string());
        for position in 1..=weight {
            out.push_str(&format!("{:04}", digit(position)));
        }
    }
    if scale > 0 {
        let mut fraction = String::with_capacity(scale + 4);
        let mut position = weight + 1;
        while fraction.len() < scale {
            fraction.push_str(&format!("{:04}", digit(position)));
            position += 1;
        }
        out.push('.');
        out.push_str(fraction.get(..scale).unwrap_or(&fraction));
    }
    Ok(out)
}
