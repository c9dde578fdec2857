//! The forms of dates and times that go-yaml v2 knows.
//!
//! `2024-1-2`, `2024-1-2T3:4:5.678Z` with an offset, and `2024-1-2 3:4:5` without one. Pure.

/// True for a date that exists, alone or with a time.
pub(super) fn is_timestamp(text: &str) -> bool {
    let is_date = text.bytes().take(5).enumerate().all(|(at, byte)| match at {
        0..4 => byte.is_ascii_digit(),
        _ => byte == b'-',
    });
    is_date && text.len() > 5 && Cursor(text.as_bytes()).timestamp().is_some()
}

/// What is left to read. Each method is None where the text has another form.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn timestamp(&mut self) -> Option<()> {
        self.date()?;
        match self.0 {
            [] => return Some(()),
            [b'T' | b't', ..] => {
                self.skip(1);
                self.time()?;
                self.zone()?;
            }
            [b' ', ..] => {
                while let [b' ', ..] = self.0 {
                    self.skip(1);
                }
                self.time()?;
            }
            _ => return None,
        }
        self.0.is_empty().then_some(())
    }

    fn date(&mut self) -> Option<()> {
        let year = self.pair()? * 100 + self.pair()?;
        self.expect(b'-')?;
        let month = self.number()?;
        self.expect(b'-')?;
        let day = self.number()?;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        (1..=days).contains(&day).then_some(())
    }

    fn time(&mut self) -> Option<()> {
        let hour = self.number()?;
        self.expect(b':')?;
        let minute = self.number()?;
        self.expect(b':')?;
        let second = self.number()?;
        if let [b'.' | b',', digit, ..] = self.0
            && digit.is_ascii_digit()
        {
            self.skip(1);
            while let [b'0'..=b'9', ..] = self.0 {
                self.skip(1);
            }
        }
        (hour < 24 && minute < 60 && second < 60).then_some(())
    }

    fn zone(&mut self) -> Option<()> {
        if let [b'Z', ..] = self.0 {
            self.skip(1);
            return Some(());
        }
        let [b'+' | b'-', ..] = self.0 else { return None };
        self.skip(1);
        let hours = self.pair()?;
        self.expect(b':')?;
        let minutes = self.pair()?;
        (hours <= 24 && minutes <= 60).then_some(())
    }

    /// A number of one or two digits.
    fn number(&mut self) -> Option<u32> {
        self.pair().or_else(|| {
            let [digit @ b'0'..=b'9', ..] = self.0 else { return None };
            self.skip(1);
            Some(u32::from(digit - b'0'))
        })
    }

    /// A number of two digits.
    fn pair(&mut self) -> Option<u32> {
        let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] = self.0 else { return None };
        self.skip(2);
        Some(u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.0.first() == Some(&byte)).then(|| self.skip(1))
    }

    fn skip(&mut self, bytes: usize) {
        self.0 = self.0.get(bytes..).unwrap_or_default();
    }
}
