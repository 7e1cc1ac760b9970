namespace Isthmus.Explain.Tracing.Calls;

/// <summary>What the caller speaks.</summary>
internal static class CallKinds
{
    public const string Http = "http";
    /// <summary>A gRPC call of one empty message.</summary>
    public const string Grpc = "grpc";
    /// <summary>HTTP inside the application's own TLS.</summary>
    public const string Tls = "tls";
    public const string Tcp = "tcp";
}
