using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

public sealed class Lifecycle
{
    public LifecycleHandler? PostStart { get; init; }
    public LifecycleHandler? PreStop { get; init; }
}

public class LifecycleHandler
{
    public ExecAction? Exec { get; init; }
    public HttpGetAction? HttpGet { get; init; }
    public TcpSocketAction? TcpSocket { get; init; }
    public SleepAction? Sleep { get; init; }
}

public sealed class SleepAction
{
    public long Seconds { get; init; }
}

public sealed class ExecAction
{
    public List<string> Command { get; init => field = value ?? []; } = [];
}

public sealed class HttpGetAction
{
    public string Path { get; init => field = value ?? ""; } = "";
    /// <summary>A number or the name of a container port.</summary>
    public JsonNode? Port { get; init; }
    public string Host { get; init => field = value ?? ""; } = "";
    public string Scheme { get; init => field = value ?? ""; } = "";
    public List<HttpHeader> HttpHeaders { get; init => field = value ?? []; } = [];
}

public sealed class HttpHeader
{
    public string Name { get; init; } = "";
    public string Value { get; init => field = value ?? ""; } = "";
}

public sealed class TcpSocketAction
{
    public JsonNode? Port { get; init; }
    public string Host { get; init => field = value ?? ""; } = "";
}

public sealed class GrpcAction
{
    public int Port { get; init; }
    public string Service { get; init => field = value ?? ""; } = "";
}

public sealed class Probe
{
    public ExecAction? Exec { get; init; }
    public HttpGetAction? HttpGet { get; init; }
    public TcpSocketAction? TcpSocket { get; init; }
    public GrpcAction? Grpc { get; init; }
    public int InitialDelaySeconds { get; init; }
    public int TimeoutSeconds { get; init; } = 1;
    public int PeriodSeconds { get; init; } = 10;
    public int SuccessThreshold { get; init; } = 1;
    public int FailureThreshold { get; init; } = 3;
    public long? TerminationGracePeriodSeconds { get; init; }
}
