//! Files that lie in several blocks have a digest of each part, and no others have any.

use super::*;
use crate::model::DataDigest;

#[test]
fn each_part_of_a_file_that_crosses_a_border_has_its_digest() {
    for compression in Compression::ALL {
        let WrittenArchive { archive, index, .. } = write_sample(compression);
        let cut = DataParts::of(&index);
        let block = options(compression).block_bytes() as u64;
        let mut crossing = 0;
        for member in &index.members {
            let mut content = Vec::new();
            let plan = index.plan_of(std::iter::once(member));
            let mut stream = unsealed(archive.clone(), &index, plan, None);
            read_member(&mut stream, member, |data| data.read_to_end(&mut content)).unwrap().unwrap();
            let Some(parts) = cut.parts(member) else {
                let begin = member.end_offset - member.stored.next_multiple_of(512);
                let is_in_one = member.stored == 0 || begin / block == (begin + member.stored - 1) / block;
                assert!(is_in_one || member.sparse || member.kind != MemberKind::File, "{}", member.path);
                continue;
            };
            crossing += 1;
            assert_eq!((parts[0].from, parts.last().unwrap().to), (0, member.size), "{}", member.path);
            for (number, part) in parts.iter().enumerate() {
                assert_eq!(part.from, number.checked_sub(1).map_or(0, |before| parts[before].to));
                let range = usize::try_from(part.from).unwrap()..usize::try_from(part.to).unwrap();
                assert_eq!(part.digest, DataDigest::of(&content[range]));
                let (from, to) = part.range();
                assert_eq!((from / block, to - from), ((to - 1) / block, part.to - part.from));
                let mut stream =
                    unsealed(archive.clone(), &index, index.plan_of_ranges(vec![part.range()]), None);
                assert!(stream.skip_to(from).unwrap());
                let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
                stream.read_exact(&mut bytes).unwrap();
                assert_eq!(DataDigest::of(&bytes), part.digest);
            }
        }
        assert!(crossing >= 3, "{crossing} files of {} members", index.members.len());
    }
}
