using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>What a line of an access log contains.</summary>
/// <param name="Text">Envoy's format text, or an object of such texts in JSON; empty: Istio's default.</param>
public sealed record LogTemplate(string Text, bool IsJson)
{
    public static readonly LogTemplate Default = new("", false);
}

/// <summary>How access logs reach a service: by OpenTelemetry's protocol, or as Envoy's entries for HTTP or TCP.</summary>
public enum LogProtocol { OpenTelemetry, Http, Tcp }

/// <summary>A service that takes access logs.</summary>
/// <param name="Host">As <c>HOST</c> or <c>NAMESPACE/HOST</c>.</param>
/// <param name="LogName">Empty: as proxies like.</param>
public sealed record LogService(LogProtocol Protocol, string Host, int Port, string LogName)
{
    /// <summary>The formats of the attributes of lines, by name; for OpenTelemetry.</summary>
    public ValueMap<string> Attributes { get; init; }

    /// <summary>The names of headers and trailers that entries for HTTP contain.</summary>
    public ValueList<string> RequestHeaders { get; init; }

    public ValueList<string> ResponseHeaders { get; init; }

    public ValueList<string> ResponseTrailers { get; init; }
}

/// <summary>Where access logs go (<c>extensionProviders</c> of MeshConfig).</summary>
/// <param name="Path">The file that proxies write; empty for a service.</param>
/// <param name="Template">Null: as MeshConfig says.</param>
public sealed record AccessLogger(string Name, string Path, LogTemplate? Template)
{
    /// <summary>Null for a file.</summary>
    public LogService? Service { get; init; }

    public const string StandardOutput = "/dev/stdout";

    /// <summary>The provider that every mesh has.</summary>
    public static readonly AccessLogger Envoy = new("envoy", StandardOutput, null);
}

/// <summary>An item of <c>accessLogging</c> of a Telemetry.</summary>
/// <param name="Providers">Empty: those of the item before it, or of the more general Telemetry.</param>
/// <param name="Filter">A CEL expression that selects what is logged; empty: as the more general item says.</param>
public sealed record LogRule(bool OfClients, bool OfServers, ValueList<string> Providers, bool IsDisabled, string Filter);

/// <summary>One access log of one direction of a proxy's traffic.</summary>
/// <param name="Filter">The CEL expression that selects what is logged; empty: everything is.</param>
/// <param name="Host">The host of its service, without a namespace; empty for a file.</param>
public sealed record LogPlan(AccessLogger Logger, string Filter, string Host = "");
