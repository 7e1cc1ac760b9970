using System.Globalization;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>The names of the details of hops from which the outcome of a call is explained.</summary>
internal static class HopFacts
{
    /// <summary>How the summary of a hop begins at which nobody begins TLS.</summary>
    public const string PlainText = "plain text";

    /// <summary>The VirtualService of a route, its timeout, the delay that it injects, the DestinationRule or BackendTLSPolicy by which the caller's proxy
    /// begins TLS, the ServiceEntry that lists an address, and the entry that says that a proxy of the mesh is there.</summary>
    public const string RuleFact = "virtual service", ApiRuleFact = "gateway api route", IngressFact = "ingress", TimeoutFact = "timeout",
        TryTimeoutFact = "timeout of each try",
        DelayFact = "delay", OriginFact = "TLS by", EntryFact = "entry", UpgradeFact = "http", RewriteFact = "rewrites",
        SealedFact = "mutual TLS by", ConnectFact = "connect timeout", RetriesFact = "retries",
        DestinationRuleFact = "destination rule";

    /// <summary>Which part of the calls goes to the cluster; empty when all do.</summary>
    public const string ShareFact = "share";

    /// <summary>How long connections may carry no bytes at a proxy, and the object and the field that say so.</summary>
    public const string IdleFact = "idle timeout", IdleOwnerFact = "idle timeout by";

    /// <summary>The first of these details; empty when connections may wait as long as they like.</summary>
    public static (string Name, string Value) Idle(TimeSpan? limit) => (IdleFact, limit?.ToString("c", CultureInfo.InvariantCulture) ?? "");

    /// <summary>The detail of a hop that names the object which routes.</summary>
    public static (string Name, string Value) Rule(string rule) =>
        (IstioMetadata.IsOfGatewayApi(rule) ? ApiRuleFact : IstioMetadata.IsOfIngress(rule) ? IngressFact : RuleFact, rule);
}
