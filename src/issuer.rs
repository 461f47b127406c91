//! Who issues tokens: where its keys are, fetched in the background and kept while it is down.
