//! One block: bytes in, an independent frame out, and back.

use std::io::{self, Read, Write};

use crate::model::Compression;

/// Compresses blocks; one per thread, so that contexts and tables are reused.
pub(super) enum Encoder {
    Zstd(zstd::bulk::Compressor<'static>),
    Gzip(flate2::Compression),
    Bzip2(bzip2::Compression),
    Plain,
}

impl Encoder {
    pub(super) fn new(compression: Compression, level: i32) -> io::Result<Self> {
        let small_level = u32::try_from(level).unwrap_or(1);
        Ok(match compression {
            Compression::Zstd => {
                let mut compressor = zstd::bulk::Compressor::new(level)?;
                compressor.include_checksum(true)?;
                compressor.include_contentsize(true)?;
                Self::Zstd(compressor)
            }
            Compression::Gzip => Self::Gzip(flate2::Compression::new(small_level)),
            Compression::Bzip2 => Self::Bzip2(bzip2::Compression::new(small_level)),
            Compression::None => Self::Plain,
        })
    }

    /// Makes the frame for `raw` in `out`, whose capacity is reused. What `raw` holds then is nobody's business: what is not compressed is not copied either.
    pub(super) fn encode(&mut self, raw: &mut Vec<u8>, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        match self {
            Self::Zstd(compressor) => {
                out.reserve(zstd::zstd_safe::compress_bound(raw.len()));
                compressor.compress_to_buffer(raw, out)?;
            }
            Self::Gzip(level) => {
                let mut encoder = flate2::write::GzEncoder::new(out, *level);
                encoder.write_all(raw)?;
                encoder.finish()?;
            }
            Self::Bzip2(level) => {
                let mut encoder = bzip2::write::BzEncoder::new(out, *level);
                encoder.write_all(raw)?;
                encoder.finish()?;
            }
            Self::Plain => std::mem::swap(raw, out),
        }
        Ok(())
    }
}

/// A small object as a whole, as its blocks would be.
pub fn compress_whole(raw: &[u8], compression: Compression, level: i32) -> io::Result<Vec<u8>> {
    let mut packed = Vec::new();
    Encoder::new(compression, level)?.encode(&mut raw.to_vec(), &mut packed)?;
    Ok(packed)
}

/// A small object as a whole, unpacked; no more than so many bytes.
pub fn decompress_whole(packed: &[u8], compression: Compression, limit: u64) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    let most = limit.saturating_add(1);
    match compression {
        Compression::Zstd => {
            zstd::stream::read::Decoder::with_buffer(packed)?.take(most).read_to_end(&mut raw)?
        }
        Compression::Gzip => flate2::read::MultiGzDecoder::new(packed).take(most).read_to_end(&mut raw)?,
        Compression::Bzip2 => bzip2::read::MultiBzDecoder::new(packed).take(most).read_to_end(&mut raw)?,
        Compression::None => packed.take(most).read_to_end(&mut raw)?,
    };
    if raw.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {limit} bytes")));
    }
    Ok(raw)
}

/// The bytes of one block, which must be exactly `raw_len` long.
///
/// A frame that claims more is damage, not a reason to allocate more.
pub(super) fn decode(compression: Compression, frame: &[u8], raw_len: usize) -> io::Result<Vec<u8>> {
    let mut raw = Vec::with_capacity(raw_len);
    let limit = raw_len as u64 + 1;
    match compression {
        Compression::Zstd => {
            zstd::stream::read::Decoder::with_buffer(frame)?.take(limit).read_to_end(&mut raw)?;
        }
        Compression::Gzip => {
            flate2::read::MultiGzDecoder::new(frame).take(limit).read_to_end(&mut raw)?;
        }
        Compression::Bzip2 => {
            bzip2::read::MultiBzDecoder::new(frame).take(limit).read_to_end(&mut raw)?;
        }
        Compression::None => raw.extend_from_slice(frame),
    }
    if raw.len() == raw_len {
        Ok(raw)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it does not hold the {raw_len} bytes that the index says"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_gives_its_bytes_back() {
        let raw: Vec<u8> = (0..100_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for compression in Compression::ALL {
            let mut encoder = Encoder::new(compression, compression.default_level()).unwrap();
            let mut frame = Vec::new();
            for _ in 0..2 {
                encoder.encode(&mut raw.clone(), &mut frame).unwrap();
                assert_eq!(decode(compression, &frame, raw.len()).unwrap(), raw, "{compression}");
            }
        }
    }

    #[test]
    fn a_flipped_bit_or_a_wrong_length_is_damage() {
        let raw = vec![7u8; 50_000];
        for compression in [Compression::Zstd, Compression::Gzip, Compression::Bzip2] {
            let mut frame = Vec::new();
            Encoder::new(compression, 1).unwrap().encode(&mut raw.clone(), &mut frame).unwrap();
            assert!(decode(compression, &frame, raw.len() - 1).is_err(), "{compression}: shorter");
            assert!(decode(compression, &frame, raw.len() + 1).is_err(), "{compression}: longer");
            let middle = frame.len() / 2;
            frame[middle] ^= 0x10;
            assert!(decode(compression, &frame, raw.len()).is_err(), "{compression}: flipped");
        }
    }
}
