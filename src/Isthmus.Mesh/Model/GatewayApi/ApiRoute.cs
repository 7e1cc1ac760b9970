using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model.GatewayApi;

/// <summary>An HTTPRoute, GRPCRoute, TLSRoute, TCPRoute or UDPRoute; <see cref="ObjectRef.Kind"/> of the source says which.</summary>
/// <param name="Parents">The Gateways, ListenerSets, Services and ServiceEntries that it attaches to.</param>
/// <param name="Hostnames">None: every host.</param>
/// <param name="CreatedAt">Unix seconds: of two rules that match alike, the older object's applies.</param>
public sealed record ApiRoute(
    ObjectRef Source, ValueList<ApiReference> Parents, ValueList<string> Hostnames, ValueList<ApiRule> Rules, ObjectGeneration Generation, long CreatedAt)
{
    public string Namespace => Source.Namespace;

    public string Name => Source.Name;
}

/// <summary>A rule of a route. Rules of TLS, TCP and UDP routes have backends only.</summary>
/// <param name="Matches">Any of them; none: every request.</param>
/// <param name="Filters">What it does besides; its mirrors are in <paramref name="Mirrors"/>, whose references must be resolved first.</param>
public sealed record ApiRule(string Name, ValueList<HttpMatch> Matches, ValueList<ApiBackend> Backends, RouteFilters Filters, ValueList<ApiMirror> Mirrors)
{
    /// <summary>Who decides about its requests. Null if no authorizer is asked.</summary>
    public ApiAuthorizer? Authorizer { get; init; }

    /// <summary>Why the rule cannot apply as it is written; its requests get 500.</summary>
    public ValueList<ApiFault> Faults { get; init; }
}

/// <param name="Weight">0: no requests.</param>
/// <param name="Filters">Changes for this share alone.</param>
public sealed record ApiBackend(ApiReference To, int Weight, RouteFilters Filters)
{
    public ValueList<ApiMirror> Mirrors { get; init; }
}

/// <param name="Settings">How it is asked, except where it is.</param>
public sealed record ApiAuthorizer(ApiReference To, ExternalAuthorizer Settings);

/// <param name="Percent">Of the requests, 0 to 100.</param>
public sealed record ApiMirror(ApiReference To, double Percent);

/// <param name="Reason">As conditions name it, such as <c>UnsupportedValue</c> or <c>IncompatibleFilters</c>.</param>
public sealed record ApiFault(string Reason, string Message);

/// <summary>A policy of the Gateway API for the callers of Services.</summary>
public interface IBackendPolicy
{
    ObjectRef Source { get; }

    /// <summary>Services, by name; <see cref="ApiReference.Section"/> is the name of a port.</summary>
    ValueList<ApiReference> Targets { get; }

    ObjectGeneration Generation { get; }

    /// <summary>Unix seconds: the older policy of a target applies.</summary>
    long CreatedAt { get; }
}

/// <summary>How many requests to a Service callers may try again, and whether sessions stay with one of its endpoints (<c>XBackendTrafficPolicy</c>).</summary>
/// <param name="Retries">Null: as many as otherwise.</param>
public sealed record BackendTrafficPolicy(
    ObjectRef Source, ValueList<ApiReference> Targets, RetryBudget? Retries, ObjectGeneration Generation, long CreatedAt) : IBackendPolicy
{
    /// <summary>Null: sessions do not.</summary>
    public SessionPersistence? Session { get; init; }

    /// <summary>Why the policy does not apply as it is written; null: it does.</summary>
    public ApiFault? Fault { get; init; }
}

/// <summary>How connections to a backend use TLS.</summary>
/// <param name="Targets">Services, by name; <see cref="ApiReference.Section"/> is the name of a port.</param>
/// <param name="CreatedAt">Unix seconds: the older policy of a target applies.</param>
public sealed record BackendTlsPolicy(
    ObjectRef Source, ValueList<ApiReference> Targets, string Hostname, ObjectGeneration Generation, long CreatedAt) : IBackendPolicy
{
    public string Namespace => Source.Namespace;

    public ValueList<ApiReference> CaCertificates { get; init; }

    /// <summary>The CAs of the machine (<c>wellKnownCACertificates: System</c>).</summary>
    public bool UsesSystemCas { get; init; }

    /// <summary>Names and URIs that the certificate may have; none: the hostname.</summary>
    public ValueList<BackendName> SubjectAltNames { get; init; }

    public ValueMap<string> Options { get; init; }
}

public readonly record struct BackendName(bool IsUri, string Value);
