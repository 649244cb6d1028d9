//! A real browser: Debian's Chromium without a window, driven through its WebDriver.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fantoccini::cookies::Cookie;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::clients::tool;
use super::wait;

/// A browser with a profile of its own. It and its driver are gone when it is dropped.
pub struct Browser {
    client: Client,
    runtime: Runtime,
    _driver: Driver,
}

struct Driver {
    child: Child,
    _folder: TempDir,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The driver takes its browser along when it is asked to end, not when it is killed.
        let _ = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}

impl Browser {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// One whose person prefers dark pages.
    pub fn dark() -> Self {
        Self::with(&["--force-dark-mode", "--blink-settings=preferredColorScheme=0"])
    }

    fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("boatyard-e2e-browser-").tempdir().expect("a temporary folder");
        // Chromium keeps files outside of its profile as well.
        let mut command = tool("chromedriver", "chromium chromium-driver");
        super::boatyard::clean(&mut command, folder.path());
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        command.arg(format!("--port={port}")).env("TMPDIR", folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = Driver { child: command.spawn().expect("chromedriver can be started"), _folder: folder };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let own = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=900,900"];
        let arguments: Vec<_> = own.iter().chain(arguments).collect();
        let Value::Object(wanted) = json!({
            "browserName": "chrome",
            // Each server has an authority of its own, which Chromium could be told of through a database only.
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments },
        }) else {
            unreachable!("it is an object")
        };
        let address = format!("http://127.0.0.1:{port}");
        let client = wait::until("the browser to start", wait::PATIENCE, || {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            let started = builder.capabilities(wanted.clone()).connect(&address);
            runtime.block_on(started).map_err(|e| e.to_string())
        });
        Self { client, runtime, _driver: driver }
    }

    #[track_caller]
    pub fn open(&self, url: &str) {
        self.runtime.block_on(self.client.goto(url)).unwrap_or_else(|e| panic!("{url}: {e}"));
    }

    #[track_caller]
    pub fn reload(&self) {
        self.runtime.block_on(self.client.refresh()).expect("the page can be loaded again");
    }

    pub fn url(&self) -> String {
        self.runtime.block_on(self.client.current_url()).expect("a page is open").to_string()
    }

    /// Everything that can be read on the page.
    pub fn text(&self) -> String {
        self.find_text("body").expect("a page has a body")
    }

    /// What can be read in the first element of a CSS selector, if there is one.
    pub fn find_text(&self, css: &str) -> Option<String> {
        self.runtime.block_on(async { self.client.find(Locator::Css(css)).await.ok()?.text().await.ok() })
    }

    /// The same once there is one.
    #[track_caller]
    pub fn wait_text(&self, css: &str) -> String {
        wait::until(&format!("'{css}' on the page"), wait::PATIENCE, || {
            self.find_text(css).ok_or_else(|| format!("{}: {}", self.url(), self.text()))
        })
    }

    #[track_caller]
    pub fn fill(&self, css: &str, text: &str) {
        self.wait_text(css);
        let filled = async {
            let field = self.client.find(Locator::Css(css)).await?;
            field.clear().await?;
            field.send_keys(text).await
        };
        self.runtime.block_on(filled).unwrap_or_else(|e| panic!("{css}: {e}"));
    }

    /// Clicks, and waits until the page is another one.
    #[track_caller]
    pub fn click(&self, css: &str) {
        self.wait_text(css);
        let before = self.runtime.block_on(self.client.find(Locator::Css("html"))).expect("a page");
        let clicked = async { self.client.find(Locator::Css(css)).await?.click().await };
        self.runtime.block_on(clicked).unwrap_or_else(|e| panic!("{css}: {e}"));
        wait::until("the next page", wait::PATIENCE, || match self.runtime.block_on(before.tag_name()) {
            Ok(_) => Err(format!("still at {}", self.url())),
            Err(_) => Ok(()),
        });
    }

    /// The value of an expression on the page.
    #[track_caller]
    pub fn evaluate(&self, expression: &str) -> Value {
        let script = format!("return {expression};");
        self.runtime.block_on(self.client.execute(&script, Vec::new())).unwrap_or_else(|e| panic!("{expression}: {e}"))
    }

    pub fn cookies(&self) -> Vec<Cookie<'static>> {
        self.runtime.block_on(self.client.get_all_cookies()).expect("cookies can be read")
    }

    /// Keeps a picture of the page for people to look at, in the folder of `BOATYARD_TEST_SCREENSHOTS` if there is one.
    pub fn screenshot(&self, name: &str) {
        let Some(folder) = std::env::var_os("BOATYARD_TEST_SCREENSHOTS").map(PathBuf::from) else { return };
        let picture = self.runtime.block_on(self.client.screenshot()).expect("a picture");
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), picture).expect("it can be written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its driver would end it as well, but not its files.
        let _ = self.runtime.block_on(self.client.clone().close());
    }
}
