//! What was probably meant: a wrong word in the configuration is answered with the known word
//! that differs least from it.

/// Returns the candidate with the fewest edits from `word`, unless so many are needed that it
/// would be a guess.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let (edits, found) = candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .min_by_key(|(edits, _)| *edits)?;
    (edits <= 2.max(found.len() / 3) && edits < found.len()).then_some(found)
}

/// Says that nobody has a name, and who was probably meant.
pub(crate) fn nobody<'a>(
    what: &str,
    wanted: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    match nearest(wanted, known) {
        Some(meant) => format!("no {what} is called `{wanted}`, did you mean `{meant}`?"),
        None => format!("no {what} is called `{wanted}`"),
    }
}

/// Counts insertions, deletions and substitutions (Levenshtein), keeping one row of the table.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistake_finds_its_word() {
        assert_eq!(nearest("tiemout", ["retry", "timeout"]), Some("timeout"));
    }

    #[test]
    fn unrelated_word_finds_nothing() {
        assert_eq!(nearest("banana", ["retry", "timeout"]), None);
        assert_eq!(nearest("xy", ["ab"]), None);
        assert_eq!(nearest("word", []), None);
    }

    #[test]
    fn distance_counts_single_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
