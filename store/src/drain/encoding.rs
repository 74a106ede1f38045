//! The bytes of a batch's record: numbers, texts and lists, and what the drain's notes are made of.

use super::meeting::Met;
use super::recent::Known;
use super::references::{Course, Reference};
use crate::clock::UnixNanos;
use crate::records::{Half, Outcome, OutcomeKind};

/// Appends values, little-endian.
pub(super) struct Writer(pub Vec<u8>);

impl Writer {
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.u32(items.len() as u32);
        items.iter().for_each(|item| write(self, item));
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.u32(text.len() as u32);
        self.0.extend(text.as_bytes());
        self
    }

    pub fn known(&mut self, known: &Known) -> &mut Self {
        self.u32(known.key_hour).u32(known.minute)
    }

    fn half(&mut self, half: Half) -> &mut Self {
        self.u32(u32::from(half == Half::Span))
    }

    fn course(&mut self, course: &Course) -> &mut Self {
        self.u32(u32::from(course.latency_ms.is_some()) | u32::from(course.error_type.is_some()) << 1);
        if let Some(latency_ms) = course.latency_ms {
            self.u64(latency_ms.to_bits());
        }
        if let Some(error_type) = &course.error_type {
            self.text(error_type);
        }
        self
    }

    pub fn reference(&mut self, reference: &Reference) {
        match reference {
            Reference::Unnamed(half, course) => self.u32(0).half(*half).course(course),
            Reference::Named(half, None) => self.u32(1).half(*half),
            Reference::Named(half, Some(request_id)) => self.u32(2).half(*half).text(request_id),
        };
    }

    pub fn met(&mut self, met: &Met) {
        match met {
            Met::Half(at, request_id) => {
                self.u32(0).u32(*at).text(request_id);
            }
            Met::Wrapping(at) => {
                self.u32(1).u32(*at);
            }
            Met::Supersedes(at, known, course) => {
                self.u32(2).u32(*at).known(known).course(course);
            }
            Met::Outcome(at, model, request_id) => {
                self.u32(3).u32(*at).text(model).text(request_id);
            }
            Met::Waited(at, outcome) => {
                self.u32(4).u32(*at).outcome(outcome);
            }
        }
    }

    pub fn outcome(&mut self, outcome: &Outcome) {
        self.text(&outcome.model).text(&outcome.request_id).text(&outcome.id);
        self.u64(outcome.at.0 as u64).u64(outcome.received_time.0 as u64);
        match &outcome.kind {
            OutcomeKind::Label(label) => self.u32(0).text(label),
            OutcomeKind::Verdict(verdict) => self.u32(1).u32(u32::from(*verdict)),
            OutcomeKind::Conversion(value) => self.u32(2).u64(value.to_bits()),
        };
    }
}

/// Takes them off again; `None` where the bytes end or say what nobody wrote.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub fn text(&mut self) -> Option<String> {
        let length = self.u32()? as usize;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    pub fn known(&mut self) -> Option<Known> {
        Some(Known {
            key_hour: self.u32()?,
            minute: self.u32()?,
        })
    }

    fn half(&mut self) -> Option<Half> {
        match self.u32()? {
            0 => Some(Half::Log),
            1 => Some(Half::Span),
            _ => None,
        }
    }

    fn course(&mut self) -> Option<Course> {
        let said = self.u32()?;
        Some(Course {
            latency_ms: if said & 1 != 0 { Some(f64::from_bits(self.u64()?)) } else { None },
            error_type: if said & 2 != 0 { Some(self.text()?.into()) } else { None },
        })
    }

    pub fn reference(&mut self) -> Option<Reference> {
        match self.u32()? {
            0 => Some(Reference::Unnamed(self.half()?, self.course()?)),
            1 => Some(Reference::Named(self.half()?, None)),
            2 => Some(Reference::Named(self.half()?, Some(self.text()?.into()))),
            _ => None,
        }
    }

    pub fn met(&mut self) -> Option<Met> {
        let (kind, at) = (self.u32()?, self.u32()?);
        match kind {
            0 => Some(Met::Half(at, self.text()?)),
            1 => Some(Met::Wrapping(at)),
            2 => Some(Met::Supersedes(at, self.known()?, self.course()?)),
            3 => Some(Met::Outcome(at, self.text()?, self.text()?)),
            4 => Some(Met::Waited(at, self.outcome()?)),
            _ => None,
        }
    }

    pub fn outcome(&mut self) -> Option<Outcome> {
        let (model, request_id, id) = (self.text()?, self.text()?, self.text()?);
        let (at, received_time) = (UnixNanos(self.u64()? as i64), UnixNanos(self.u64()? as i64));
        let kind = match self.u32()? {
            0 => OutcomeKind::Label(self.text()?),
            1 => OutcomeKind::Verdict(self.u32()? != 0),
            2 => OutcomeKind::Conversion(f64::from_bits(self.u64()?)),
            _ => return None,
        };
        Some(Outcome {
            model,
            request_id,
            kind,
            id,
            at,
            received_time,
        })
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.u32()?;
        (0..count).map(|_| read(self)).collect()
    }
}
