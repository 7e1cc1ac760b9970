using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

public sealed class Lifecycle
{
    public LifecycleHandler? PostStart { get; set; }
    public LifecycleHandler? PreStop { get; set; }
}

public class LifecycleHandler
{
    public ExecAction? Exec { get; set; }
    public HttpGetAction? HttpGet { get; set; }
    public TcpSocketAction? TcpSocket { get; set; }
    public SleepAction? Sleep { get; set; }
}

public sealed class SleepAction
{
    public long Seconds { get; set; }
}

public sealed class ExecAction
{
    public List<string> Command { get; set => field = value ?? []; } = [];
}

public sealed class HttpGetAction
{
    public string Path { get; set => field = value ?? ""; } = "";
    /// <summary>A number or the name of a container port.</summary>
    public JsonNode? Port { get; set; }
    public string Host { get; set => field = value ?? ""; } = "";
    public string Scheme { get; set => field = value ?? ""; } = "";
    public List<HttpHeader> HttpHeaders { get; set => field = value ?? []; } = [];
}

public sealed class HttpHeader
{
    public string Name { get; set; } = "";
    public string Value { get; set => field = value ?? ""; } = "";
}

public sealed class TcpSocketAction
{
    public JsonNode? Port { get; set; }
    public string Host { get; set => field = value ?? ""; } = "";
}

public sealed class GrpcAction
{
    public int Port { get; set; }
    public string Service { get; set => field = value ?? ""; } = "";
}

public sealed class Probe
{
    public ExecAction? Exec { get; set; }
    public HttpGetAction? HttpGet { get; set; }
    public TcpSocketAction? TcpSocket { get; set; }
    public GrpcAction? Grpc { get; set; }
    public int InitialDelaySeconds { get; set; }
    public int TimeoutSeconds { get; set; } = 1;
    public int PeriodSeconds { get; set; } = 10;
    public int SuccessThreshold { get; set; } = 1;
    public int FailureThreshold { get; set; } = 3;
    public long? TerminationGracePeriodSeconds { get; set; }
}
