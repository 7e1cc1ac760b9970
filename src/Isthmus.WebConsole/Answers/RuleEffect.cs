using Isthmus.Core.Collections;

namespace Isthmus.WebConsole.Answers;

/// <summary>Which workloads a policy is for. A narrower one, which is greater, overrides a wider one.</summary>
internal enum RuleScope { Mesh, Namespace, Pods }

/// <summary>What an object does to calls of a service.</summary>
/// <param name="Text">In words; empty: nothing.</param>
internal sealed record RuleEffect(string Text)
{
    public static readonly RuleEffect None = new("");

    /// <summary>Why it does nothing all the same; empty: it does.</summary>
    public string Refusal { get; init; } = "";

    /// <summary>It decides for these workloads the mode of mutual TLS; null: it does not.</summary>
    public RuleScope? DecidesMode { get; init; }

    /// <summary>The calls of the service that it routes; null if it is not for the host of the service.</summary>
    public RoutedCalls? Routes { get; init; }
}

/// <summary>Some of the calls of a host.</summary>
/// <param name="Gateways">Those that they come through, in order; empty: none, as calls of workloads.</param>
/// <param name="Callers">The namespaces that they come from; null: all.</param>
internal sealed record RoutedCalls(ValueList<string> Gateways, ValueList<string>? Callers)
{
    /// <summary>In words.</summary>
    public string From => TextOf(Callers) is { Length: > 0 } text ? $", {text}" : "";

    /// <summary>Whether some calls are among both.</summary>
    public bool Shares(RoutedCalls other) =>
        Gateways == other.Gateways && (Callers is not { } own || other.Callers is not { } others || own.Any(ns => others.Contains(ns)));

    public static string TextOf(ValueList<string>? callers) =>
        callers is not { } some ? "" : $"from namespace{(some.Count > 1 ? "s" : "")} {string.Join(", ", some)}";
}
