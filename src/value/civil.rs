//! Days as numbers and as dates, by Howard Hinnant's `chrono`-compatible low-level date algorithms:
//! years that begin in March have their leap day at the end, and 400 of them always have as many
//! days.

/// The days of 400 years.
const ERA: u64 = 146_097;
/// The days from the first of March of the year 0 to 1970.
const BEFORE_1970: u64 = 719_468;

/// The days since 1970 of a date, by `days_from_civil`. The date has to be one, from 1970 on.
pub(crate) fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let year_of_era = year % 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    year / 400 * ERA + day_of_era - BEFORE_1970
}

/// The year, month and day of a day since 1970, by `civil_from_days`.
pub(crate) fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + BEFORE_1970;
    let day_of_era = days % ERA;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = days / ERA * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_follows_the_one_before() {
        let leap = |year: u64| {
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
        };
        let mut expected = (1970, 1, 1);
        for day in 0..200_000 {
            assert_eq!(date(day), expected);
            let (year, month, day_of_month) = expected;
            assert_eq!(days(year, month, day_of_month), day);
            let last = match month {
                2 if leap(year) => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, day_of_month) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == last => (year, month + 1, 1),
                _ => (year, month, day_of_month + 1),
            };
        }
    }
}
