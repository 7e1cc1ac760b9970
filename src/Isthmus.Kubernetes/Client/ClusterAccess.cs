using Isthmus.Core.Collections;

namespace Isthmus.Kubernetes.Client;

/// <summary>Everything that a client needs to reach one API server and to authenticate. Equal values mean the same
/// access.</summary>
public sealed record ClusterAccess
{
    /// <summary>For example <c>https://172.18.0.2:6443</c>.</summary>
    public required Uri Server { get; init; }

    /// <summary>PEM certificates that the server's must chain to; null means the machine's own trust store.</summary>
    public string? CertificateAuthority { get; init; }

    /// <summary>The name to check the server's certificate against instead of the host in <see cref="Server"/>.</summary>
    public string? TlsServerName { get; init; }

    public bool InsecureSkipTlsVerify { get; init; }

    public string? Token { get; init; }

    /// <summary>A token file, which is read again for each request because tokens rotate.</summary>
    public string? TokenFile { get; init; }

    /// <summary>The kubeconfig that <see cref="Token"/> comes from. It is read again for each request: it may be a mounted
    /// Secret, whose token rotates.</summary>
    public string? TokenKubeconfig { get; init; }

    /// <summary>PEM client certificate chain and key.</summary>
    public string? ClientCertificate { get; init; }

    public string? ClientKey { get; init; }

    public string? Username { get; init; }

    public string? Password { get; init; }

    /// <summary>A program that prints credentials (client.authentication.k8s.io); rejected in remote secrets.</summary>
    public ExecCredential? Exec { get; init; }

    /// <summary>An HTTP proxy, for example <c>http://127.0.0.1:8080</c>.</summary>
    public Uri? Proxy { get; init; }

    public string? Impersonate { get; init; }

    /// <summary>The namespace of the context.</summary>
    public string Namespace { get; init; } = "default";

    /// <summary>The name of the context or cluster, for messages.</summary>
    public string Name { get; init; } = "";

    /// <summary>What answers in place of the API server; null when the API server itself does.</summary>
    public ClusterStandIn? StandIn { get; init; }

    // A record prints its fields, and credentials must not end up in a log.
    public override string ToString() => $"{Name} ({Server})";
}

public sealed record ExecCredential(string ApiVersion, string Command, ValueList<string> Args, ValueMap<string> Env);
