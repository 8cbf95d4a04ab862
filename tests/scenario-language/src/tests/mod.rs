mod any;
mod canonical;
mod folder;
mod reference;
mod refusals;
