//! How frames that are not of the catalogue get into the pages' outboxes.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use super::hub::{Hub, PageCell};
use super::outbox::FrameSubject;
use crate::domain::EpochMs;

impl Hub {
    /// Puts a frame into the outbox of every page of a session.
    pub fn to_session(&self, session_id: &str, subject: &FrameSubject, frame: Bytes, event_ms: Option<EpochMs>) {
        let frame = self.catalog.waiting().hold(frame);
        self.of_session(session_id).iter().for_each(|page| self.put(page, subject, frame.clone(), event_ms));
    }

    /// Puts a recommendation into the outbox of every page, and of those that come later, until the next takes its place.
    pub fn to_everyone(&self, frame: Bytes) {
        let frame = self.catalog.waiting().hold(frame);
        // Stored first: a page that enters now is among the pages below, or finds it.
        self.to_everyone.store(Some(Arc::new(frame.clone())));
        self.all_pages().iter().for_each(|page| self.put(page, &FrameSubject::Recommendation, frame.clone(), None));
    }

    /// Puts a frame into one page's outbox, and wakes the page.
    pub fn put(&self, page: &PageCell, subject: &FrameSubject, frame: Bytes, event_ms: Option<EpochMs>) {
        if page.outbox.lock().unwrap_or_else(PoisonError::into_inner).put(subject.clone(), frame, event_ms) {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
        page.wake.notify_one();
    }
}
