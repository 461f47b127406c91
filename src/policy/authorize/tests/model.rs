//! Groups against a naive evaluator: random trees of conditions, as they are typed, and random
//! callers, over so few words that they meet.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::fmt::Write;

/// A condition, in the model's terms.
#[derive(Debug, Clone)]
enum Tree {
    /// A kind and a word.
    Word(&'static str, &'static str),
    /// A claim and a number that it is, or contains.
    Claim(&'static str, &'static str, i64),
    Group(Option<Vec<Tree>>, Option<Vec<Tree>>, Option<Vec<Tree>>),
}

/// A caller, in the model's terms.
#[derive(Debug, Clone)]
struct Caller {
    way: &'static str,
    roles: Vec<&'static str>,
    scopes: Vec<&'static str>,
    claims: Vec<(&'static str, Vec<i64>)>,
    consumer: Option<(&'static str, Option<&'static str>, Vec<&'static str>)>,
}

fn a_word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c"])
}

fn a_leaf() -> impl Strategy<Value = Tree> {
    let kinds = vec!["role", "scope", "tier", "consumer", "tag"];
    let ways = prop::sample::select(vec!["jwt", "basic"]);
    let tests = prop::sample::select(vec!["equals", "contains"]);
    prop_oneof![
        4 => (prop::sample::select(kinds), a_word()).prop_map(|(kind, word)| Tree::Word(kind, word)),
        1 => ways.prop_map(|way| Tree::Word("way", way)),
        1 => prop::sample::select(vec!["GET", "PUT"]).prop_map(|word| Tree::Word("method", word)),
        2 => (a_word(), tests, 0_i64..3).prop_map(|(claim, test, n)| Tree::Claim(claim, test, n)),
    ]
}

/// Up to three lists, of which one at least is there.
fn a_group(item: impl Strategy<Value = Tree> + Clone) -> impl Strategy<Value = Tree> {
    let list = || prop::option::of(vec(item.clone(), 1..4));
    (list(), list(), list())
        .prop_filter("a group says something", |(all, any, not)| {
            all.is_some() || any.is_some() || not.is_some()
        })
        .prop_map(|(all, any, not)| Tree::Group(all, any, not))
}

fn a_tree() -> impl Strategy<Value = Tree> {
    a_group(a_leaf().prop_recursive(3, 16, 3, a_group))
}

fn a_caller() -> impl Strategy<Value = Caller> {
    let words = || vec(a_word(), 0..3);
    let consumer = prop::option::of((a_word(), prop::option::of(a_word()), words()));
    let claims = vec((a_word(), vec(0_i64..3, 0..3)), 0..3);
    let way = prop::sample::select(vec!["jwt", "basic"]);
    (way, words(), words(), claims, consumer).prop_map(|(way, roles, scopes, claims, consumer)| {
        Caller { way, roles, scopes, claims, consumer }
    })
}

impl Tree {
    fn holds(&self, caller: Option<&Caller>, method: &str) -> bool {
        match (self, caller) {
            (Tree::Word("method", word), _) => *word == method,
            (Tree::Group(all, any, not), _) => {
                let holds = |tree: &Tree| tree.holds(caller, method);
                all.iter().flatten().all(holds)
                    && any.as_ref().is_none_or(|any| any.iter().any(holds))
                    && !not.iter().flatten().any(holds)
            }
            (Tree::Word(kind, word), Some(caller)) => match (*kind, &caller.consumer) {
                ("role", _) => caller.roles.contains(word),
                ("scope", _) => caller.scopes.contains(word),
                ("way", _) => caller.way == *word,
                ("consumer", Some((name, _, _))) => name == word,
                ("tier", Some((_, tier, _))) => *tier == Some(*word),
                ("tag", Some((_, _, tags))) => tags.contains(word),
                _ => false,
            },
            (Tree::Claim(name, test, number), Some(caller)) => {
                // Of two claims of a name the last one counts.
                match caller.claims.iter().rev().find(|(claim, _)| claim == name) {
                    // The model's claims of one number are that number, of others a list.
                    Some((_, numbers)) if numbers.len() == 1 => numbers[0] == *number,
                    Some((_, numbers)) => *test == "contains" && numbers.contains(number),
                    None => false,
                }
            }
            (_, None) => false,
        }
    }

    fn write(&self, yaml: &mut String) {
        match self {
            Tree::Word(kind, word) => write!(yaml, "{kind}:{word}").unwrap(),
            Tree::Claim(name, test, number) => {
                write!(yaml, "{{claim: {name}, {test}: {number}}}").unwrap();
            }
            Tree::Group(all, any, not) => {
                yaml.push('{');
                for (key, list) in [("not", not), ("all", all), ("any", any)] {
                    for tree in list.iter().flatten().enumerate() {
                        yaml.push_str(if tree.0 == 0 { key } else { "" });
                        yaml.push_str(if tree.0 == 0 { ": [" } else { ", " });
                        tree.1.write(yaml);
                    }
                    yaml.push_str(if list.is_some() { "], " } else { "" });
                }
                yaml.push('}');
            }
        }
    }
}

impl Caller {
    fn identity(&self) -> Identity {
        let boxed = |texts: &[&str]| texts.iter().map(|text| Box::from(*text)).collect::<Vec<_>>();
        let claim = |numbers: &[i64]| match numbers {
            [number] => json!(number),
            numbers => json!(numbers),
        };
        let claims = self.claims.iter();
        Identity {
            roles: boxed(&self.roles),
            scopes: boxed(&self.scopes),
            consumer: self.consumer.as_ref().map(|(name, tier, tags)| {
                Arc::new(Consumer {
                    name: (*name).into(),
                    tier: tier.map(Into::into),
                    roles: Vec::new(),
                    tags: boxed(tags),
                })
            }),
            ..Identity::new(
                if self.way == "jwt" { Way::Jwt } else { Way::Basic },
                Arc::new(claims.map(|(name, is)| ((*name).to_owned(), claim(is))).collect()),
            )
        }
    }
}

proptest! {
    #[test]
    fn groups_hold_where_the_naive_evaluator_says_so(
        tree in a_tree(),
        callers in vec(prop::option::weighted(0.9, a_caller()), 8),
        method in prop::sample::select(vec![http::Method::GET, http::Method::PUT]),
    ) {
        let mut yaml = String::new();
        tree.write(&mut yaml);
        let policy = compiled(&yaml);
        for caller in &callers {
            let identity = caller.as_ref().map(Caller::identity);
            let asked = Asked { method: &method, ..asked(identity.as_ref()) };
            let permitted = matches!(policy.decide(&asked), Verdict::Permitted);
            let expected = tree.holds(caller.as_ref(), method.as_str());
            prop_assert_eq!(permitted, expected, "{} {:?}", &yaml, caller);
        }
    }
}
