//! Runs renders in worker processes (the agent), or in this process (the command line).
//!
//! I/O: processes, or disk reads.

use std::sync::Arc;

use super::RenderError;
use super::ask::Trees;
use super::order::{Attempt, Given, Order, attempt};
use super::outside::Outside;
use super::worker::Workers;

/// What makes renders.
#[derive(Clone)]
pub enum Renderer {
    Here(Arc<dyn Trees>),
    Workers(Workers),
}

impl Renderer {
    /// Renders for a tenant, and answers what the render asks for until it comes to an end. A render that is dropped
    /// ends.
    pub async fn render(&self, order: Order, outside: &Outside, tenant: &str) -> Attempt {
        let order = Arc::new(order);
        let mut asked = outside.asked(&order.inputs, tenant);
        loop {
            let mut attempt = self.once(&order, asked.given().to_vec(), tenant).await;
            let Some(ask) = attempt.missing.take() else { return attempt };
            if let Err(error) = Box::pin(asked.answer(ask)).await {
                return Attempt { end: Err(error), ..attempt };
            }
        }
    }

    async fn once(&self, order: &Arc<Order>, given: Given, tenant: &str) -> Attempt {
        match self {
            Self::Here(trees) => {
                let (trees, order) = (trees.clone(), order.clone());
                let working = tokio::task::spawn_blocking(move || attempt(&order, &given, &*trees));
                working
                    .await
                    .unwrap_or_else(|error| Attempt::failed(RenderError::internal(&error.to_string())))
            }
            Self::Workers(workers) => workers.attempt(order, &given, tenant).await,
        }
    }
}
