//! The chapters of `docs/guide`, whose code is tested as this crate's is.

macro_rules! chapters {
    ($($name:ident: $file:literal;)*) => {$(
        #[doc = include_str!(concat!("../../../docs/guide/", $file))]
        struct $name;
    )*};
}

chapters! {
    Overview: "README.md";
    WebService: "web-service.md";
    Admin: "admin.md";
    Streams: "streams.md";
    Http2: "http2.md";
    Connections: "connections.md";
    EventLoop: "event-loop.md";
    QueueConsumer: "queue-consumer.md";
    Tasks: "tasks.md";
    Batch: "batch.md";
    Shields: "shields.md";
    Threads: "threads.md";
    WorkerPool: "worker-pool.md";
    Children: "children.md";
    StartAndFinish: "start-and-finish.md";
    State: "state.md";
    Schedule: "schedule.md";
    Reload: "reload.md";
    Signals: "signals.md";
    ServiceManagers: "service-managers.md";
    PythonAsyncioServer: "python-asyncio-server.md";
    PythonWorkers: "python-workers.md";
    PythonAsyncio: "python-asyncio.md";
    PythonServer: "python-server.md";
    PythonShields: "python-shields.md";
    PythonStartAndStop: "python-start-and-stop.md";
    Python: "python.md";
}
