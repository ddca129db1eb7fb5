//! Working hours: what lies outside of them is looked at twice.

use daybook_engine::event::Micros;
use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// On which days, and from when to when, people work; and where.
#[derive(Clone, Debug)]
pub struct Hours {
    zone: TimeZone,
    zone_name: String,
    /// The first and the last day, from Monday.
    days: (usize, usize),
    /// Minutes of the day.
    from: u16,
    to: u16,
}

impl Default for Hours {
    /// Monday to Friday, eight to six, in UTC.
    fn default() -> Hours {
        Hours {
            zone: TimeZone::UTC,
            zone_name: "UTC".to_owned(),
            days: (0, 4),
            from: 480,
            to: 1080,
        }
    }
}

impl Hours {
    /// The same hours elsewhere.
    ///
    /// # Errors
    /// A time zone that is none.
    pub fn in_zone(self, name: &str) -> Result<Hours, String> {
        let zone = if name == "UTC" { Ok(TimeZone::UTC) } else { TimeZone::get(name) };
        let zone = zone.map_err(|_| {
            "write a time zone of the IANA database, such as Europe/Berlin, or UTC".to_owned()
        })?;
        Ok(Hours { zone, zone_name: name.to_owned(), ..self })
    }

    /// Hours such as `Mon-Fri 08:00-18:00`, in the same zone.
    ///
    /// # Errors
    /// What would be right.
    pub fn at(self, text: &str) -> Result<Hours, String> {
        let wrong = || "write days and hours, such as Mon-Fri 08:00-18:00".to_owned();
        let (days, times) = text.split_once(' ').ok_or_else(wrong)?;
        let day = |name: &str| DAYS.iter().position(|day| *day == name).ok_or_else(wrong);
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let (from, to) = times.trim().split_once('-').ok_or_else(wrong)?;
        let minutes = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
            (hour * 60 + minute <= 1440 && minute < 60).then_some(hour * 60 + minute)
        };
        let (from, to) = (minutes(from).ok_or_else(wrong)?, minutes(to).ok_or_else(wrong)?);
        if from >= to {
            return Err("hours end later than they begin".to_owned());
        }
        Ok(Hours { days: (day(first)?, day(last)?), from, to, ..self })
    }

    /// The zone's name.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// As [`Hours::at`] reads them.
    #[must_use]
    pub fn text(&self) -> String {
        let day = |at: usize| DAYS.get(at).copied().unwrap_or_default();
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let (first, last) = self.days;
        format!("{}-{} {}-{}", day(first), day(last), time(self.from), time(self.to))
    }

    /// The day, the hour, and whether it is within the hours; `None` for a time that no calendar has.
    #[must_use]
    pub(super) fn place(&self, time: Micros) -> Option<(String, usize, bool)> {
        let at = self.zone.to_datetime(Timestamp::from_microsecond(time.0).ok()?);
        let day = match at.weekday() {
            Weekday::Monday => 0,
            Weekday::Tuesday => 1,
            Weekday::Wednesday => 2,
            Weekday::Thursday => 3,
            Weekday::Friday => 4,
            Weekday::Saturday => 5,
            Weekday::Sunday => 6,
        };
        let hour = usize::try_from(at.hour()).unwrap_or_default();
        let minute = hour * 60 + usize::try_from(at.minute()).unwrap_or_default();
        let (first, last) = self.days;
        // Days may go over the week's end: Sun-Thu.
        let works =
            if first <= last { (first..=last).contains(&day) } else { day >= first || day <= last };
        let within = works && (usize::from(self.from)..usize::from(self.to)).contains(&minute);
        Some((at.date().to_string(), hour, within))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn within(hours: &Hours, time: &str) -> bool {
        hours.place(Micros::parse(time).unwrap()).unwrap().2
    }

    #[test]
    fn hours_are_those_of_the_zone() {
        let hours = Hours::default().at("Mon-Fri 08:00-18:00").unwrap();
        // A Monday.
        assert!(within(&hours, "2026-03-02T08:00:00Z") && within(&hours, "2026-03-02T17:59:59Z"));
        assert!(!within(&hours, "2026-03-02T18:00:00Z") && !within(&hours, "2026-03-01T12:00:00Z"));
        let berlin = hours.in_zone("Europe/Berlin").unwrap();
        assert!(
            within(&berlin, "2026-03-02T07:30:00Z") && !within(&berlin, "2026-03-02T17:30:00Z")
        );
        // In summer it is two hours ahead.
        assert!(
            within(&berlin, "2026-07-06T06:30:00Z") && !within(&berlin, "2026-03-02T06:30:00Z")
        );
        let place = berlin.place(Micros::parse("2026-03-02T23:30:00Z").unwrap()).unwrap();
        assert_eq!((&*place.0, place.1), ("2026-03-03", 0));
    }

    #[test]
    fn days_may_go_over_the_weeks_end() {
        let hours = Hours::default().at("Sun-Thu 09:00-17:30").unwrap();
        assert!(within(&hours, "2026-03-01T12:00:00Z") && within(&hours, "2026-03-05T17:29:00Z"));
        assert!(!within(&hours, "2026-03-06T12:00:00Z"));
        assert_eq!(hours.text(), "Sun-Thu 09:00-17:30");
        for text in
            ["", "Mon-Fri", "Mon-Fry 08:00-18:00", "Mon 18:00-08:00", "Mon 8-9", "Mon 25:00-26:00"]
        {
            assert!(Hours::default().at(text).is_err(), "{text}");
        }
        assert!(Hours::default().in_zone("Mars/Olympus").is_err());
    }
}
