use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Expr, ImplItem, Item, Pat, Type};

/// One function or method.
#[derive(Debug)]
pub(crate) struct Body {
    /// The type that it belongs to.
    pub(crate) owner: Option<String>,
    /// Whether it implements a trait.
    pub(crate) of_trait: bool,
    /// The file's name, which is the module's.
    pub(crate) module: String,
    pub(crate) name: String,
    pub(crate) calls: Vec<Called>,
    /// Operations of AWS: the crate of the service and the method.
    pub(crate) operations: BTreeSet<(String, String)>,
    /// Constants in capitals, with the module in front of them.
    pub(crate) constants: BTreeSet<(String, String)>,
    /// Each call of `measure`: its dimensions, and the metrics.
    pub(crate) measured: Vec<(BTreeSet<String>, BTreeSet<String>)>,
}

/// A call, by name.
#[derive(Debug)]
pub(crate) enum Called {
    /// `receiver.name()`; none if the receiver has no name.
    Method(Option<String>, String),
    /// `qualifier::name()`.
    Path(Option<String>, String),
}

/// All sources below some folders.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) bodies: Vec<Body>,
    /// Types by the names of fields and parameters.
    pub(crate) types: BTreeMap<String, BTreeSet<String>>,
}

impl Sources {
    /// Reads every Rust file of a folder and of those in it.
    pub(crate) fn read(folder: &Path) -> Self {
        Self::of(folder, &[""])
    }

    /// Reads some files and folders of a folder.
    pub(crate) fn of(folder: &Path, parts: &[&str]) -> Self {
        let mut sources = Self::default();
        for path in parts.iter().flat_map(|part| files(&folder.join(part))) {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let service = service_in(&text);
            let module = module_of(&path);
            sources.items(&file.items, &module, service.as_deref());
        }
        sources
    }

    fn items(&mut self, items: &[Item], module: &str, service: Option<&str>) {
        for item in items {
            match item {
                Item::Fn(function) if !is_test(&function.attrs) => {
                    self.body(None, false, module, &function.sig, &function.block, service);
                }
                Item::Impl(block) if !is_test(&block.attrs) => {
                    let owner = last_of(&block.self_ty);
                    for member in &block.items {
                        if let ImplItem::Fn(method) = member {
                            self.body(
                                owner.clone(),
                                block.trait_.is_some(),
                                module,
                                &method.sig,
                                &method.block,
                                service,
                            );
                        }
                    }
                }
                Item::Struct(structure) => {
                    for field in &structure.fields {
                        if let Some(name) = &field.ident {
                            self.typed(&name.to_string(), &field.ty);
                        }
                    }
                }
                Item::Mod(inner) if !is_test(&inner.attrs) => {
                    if let Some((_, items)) = &inner.content {
                        self.items(items, module, service);
                    }
                }
                _ => {}
            }
        }
    }

    fn body(
        &mut self,
        owner: Option<String>,
        of_trait: bool,
        module: &str,
        signature: &syn::Signature,
        block: &syn::Block,
        service: Option<&str>,
    ) {
        for input in &signature.inputs {
            if let syn::FnArg::Typed(typed) = input
                && let Pat::Ident(name) = &*typed.pat
            {
                self.typed(&name.ident.to_string(), &typed.ty);
            }
        }
        let mut visitor = Visitor { service, ..Visitor::default() };
        visitor.visit_block(block);
        self.bodies.push(Body {
            owner,
            of_trait,
            module: module.to_owned(),
            name: signature.ident.to_string(),
            calls: visitor.calls,
            operations: visitor.operations,
            constants: visitor.constants,
            measured: visitor.measured,
        });
    }

    fn typed(&mut self, name: &str, of: &Type) {
        if let Some(last) = last_of(of) {
            self.types.entry(name.to_owned()).or_default().insert(last);
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    if folder.is_file() {
        return vec![folder.to_owned()];
    }
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn module_of(path: &Path) -> String {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    if stem == "mod" { folder.to_owned() } else { stem.to_owned() }
}

/// The SDK crate whose client the file uses; several with commas.
fn service_in(text: &str) -> Option<String> {
    let names = text.split("aws_sdk_").skip(1);
    let names: BTreeSet<String> =
        names.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric()).collect()).collect();
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(","))
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test")))
    })
}

/// The type that is meant: inside references, `Option`, `Arc`, `Mutex` and their like.
fn last_of(of: &Type) -> Option<String> {
    match of {
        Type::Reference(reference) => last_of(&reference.elem),
        Type::Paren(inner) => last_of(&inner.elem),
        Type::Path(path) => {
            let segment = path.path.segments.last()?;
            if let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments {
                let inner = arguments.args.iter().find_map(|argument| match argument {
                    syn::GenericArgument::Type(inner) => last_of(inner),
                    _ => None,
                });
                if inner.is_some() && segment.ident != "PostgresNodes" {
                    return inner;
                }
            }
            Some(segment.ident.to_string())
        }
        _ => None,
    }
}

#[derive(Default)]
struct Visitor<'s> {
    service: Option<&'s str>,
    calls: Vec<Called>,
    operations: BTreeSet<(String, String)>,
    constants: BTreeSet<(String, String)>,
    measured: Vec<(BTreeSet<String>, BTreeSet<String>)>,
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let (name, receiver) = (call.method.to_string(), named(&call.receiver));
        if self.service == Some("dynamodb") && name == "condition_check" {
            self.operation("dynamodb", name.clone());
        }
        if let Some(service) = self.service
            && call.args.is_empty()
        {
            let is_client = receiver.as_deref().is_some_and(|receiver| receiver == "client" || receiver == service);
            if is_client && name != "clone" {
                self.operation(service, name.clone());
            }
            if name == "send"
                && let Some(first) = first_of_chain(call)
            {
                self.operation(service, first);
            }
        }
        if name == "measure" {
            self.measure(call.args.iter());
        }
        self.calls.push(Called::Method(receiver, name));
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let Expr::Path(path) = &*call.func {
            let segments: Vec<String> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            if let Some((name, before)) = segments.split_last() {
                if name == "measure" {
                    self.measure(call.args.iter());
                }
                self.calls.push(Called::Path(before.last().cloned(), name.clone()));
            }
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let Some((name, before)) = segments.split_last()
            && name.len() > 1
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        {
            self.constants.insert((before.last().cloned().unwrap_or_default(), name.clone()));
        }
        visit::visit_path(self, path);
    }

    /// Macros such as `tokio::join!` and `matches!` hold expressions with commas.
    fn visit_macro(&mut self, found: &'ast syn::Macro) {
        let parser = syn::punctuated::Punctuated::<Expr, syn::Token![,]>::parse_terminated;
        if let Ok(expressions) = found.parse_body_with(parser) {
            for expression in &expressions {
                self.visit_expr(expression);
            }
        }
    }
}

impl Visitor<'_> {
    fn operation(&mut self, service: &str, operation: String) {
        assert!(!service.contains(','), "which of {service} does {operation}? Keep each service to a file of its own");
        self.operations.insert((service.to_owned(), operation));
    }

    fn measure<'e>(&mut self, arguments: impl Iterator<Item = &'e Expr>) {
        let mut inner = Visitor::default();
        for argument in arguments {
            inner.visit_expr(argument);
        }
        let of_metric = inner.constants.into_iter().filter(|(module, _)| module == "metric").map(|(_, name)| name);
        let (dimensions, metrics) = of_metric.partition(|name| name == "CLUSTER" || name == "AZ");
        self.measured.push((dimensions, metrics));
    }
}

/// The last name of a receiver: `setup.table` is `table`, `self.drainer()?` is `drainer`.
fn named(receiver: &Expr) -> Option<String> {
    match receiver {
        Expr::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        Expr::Field(field) => match &field.member {
            syn::Member::Named(name) => Some(name.to_string()),
            syn::Member::Unnamed(_) => None,
        },
        Expr::Reference(inner) => named(&inner.expr),
        Expr::Paren(inner) => named(&inner.expr),
        Expr::Try(inner) => named(&inner.expr),
        Expr::Await(inner) => named(&inner.base),
        Expr::MethodCall(call) => match call.method.to_string().as_str() {
            "as_ref" | "as_deref" | "clone" | "ok_or" | "ok_or_else" | "unwrap" => named(&call.receiver),
            name => Some(name.to_owned()),
        },
        _ => None,
    }
}

/// `a.b().c().send()`: `b`.
fn first_of_chain(call: &syn::ExprMethodCall) -> Option<String> {
    let mut at = call;
    let mut first = None;
    while let Expr::MethodCall(before) = &*at.receiver {
        first = before.args.is_empty().then(|| before.method.to_string());
        at = before;
    }
    first
}
