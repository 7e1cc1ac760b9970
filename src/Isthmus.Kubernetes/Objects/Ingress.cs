using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

/// <summary>networking.k8s.io/v1 Ingress.</summary>
public sealed class Ingress : KubeObject
{
    public IngressSpec Spec { get; init => field = value ?? new(); } = new();
    public ServiceStatus Status { get; init => field = value ?? new(); } = new();
}

public sealed class IngressSpec
{
    /// <summary>The name of an IngressClass; null for none.</summary>
    public string? IngressClassName { get; init; }
    public IngressBackend? DefaultBackend { get; init; }
    public List<IngressTls> Tls { get; init => field = value ?? []; } = [];
    public List<IngressRule> Rules { get; init => field = value ?? []; } = [];
}

public sealed class IngressTls
{
    public List<string> Hosts { get; init => field = value ?? []; } = [];
    public string SecretName { get; init => field = value ?? ""; } = "";
}

public sealed class IngressRule
{
    /// <summary>Empty: every host.</summary>
    public string Host { get; init => field = value ?? ""; } = "";
    public IngressHttp? Http { get; init; }
}

public sealed class IngressHttp
{
    public List<IngressPath> Paths { get; init => field = value ?? []; } = [];
}

public sealed class IngressPath
{
    public string Path { get; init => field = value ?? ""; } = "";
    public string PathType { get; init => field = value ?? ""; } = "";
    public IngressBackend Backend { get; init => field = value ?? new(); } = new();
}

public sealed class IngressBackend
{
    /// <summary>Null if the backend is another kind of object.</summary>
    public IngressService? Service { get; init; }
    public JsonObject? Resource { get; init; }
}

public sealed class IngressService
{
    public string Name { get; init => field = value ?? ""; } = "";
    public IngressPort Port { get; init => field = value ?? new(); } = new();
}

/// <summary>One of the two is set.</summary>
public sealed class IngressPort
{
    public string Name { get; init => field = value ?? ""; } = "";
    public int Number { get; init; }
}

/// <summary>networking.k8s.io/v1 IngressClass.</summary>
public sealed class IngressClass : KubeObject
{
    public IngressClassSpec Spec { get; init => field = value ?? new(); } = new();
}

public sealed class IngressClassSpec
{
    public string Controller { get; init => field = value ?? ""; } = "";
}
