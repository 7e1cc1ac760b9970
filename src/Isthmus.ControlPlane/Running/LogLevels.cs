using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Isthmus.ControlPlane.Running;

/// <summary>The level of each scope of the log, which can be changed while the control plane runs. A scope is a part of the
/// control plane, named as in the code: <c>ca</c>, <c>clusters</c>, <c>push</c>. Names of istiod's scopes stand for the part that does the same.</summary>
public sealed class LogLevels : ILoggerProvider
{
    private const string Server = "server";

    /// <summary>Istio's names, and the least level that each lets through.</summary>
    private static readonly (string Name, LogLevel Level)[] Names =
        [("debug", LogLevel.Trace), ("info", LogLevel.Information), ("warn", LogLevel.Warning), ("error", LogLevel.Error), ("fatal", LogLevel.Critical),
            ("none", LogLevel.None)];

    private static readonly Dictionary<string, string> OfIstiod = new(StringComparer.Ordinal)
    {
        ["ads"] = "push", ["delta"] = "push", ["status"] = "push", ["model"] = "derive", ["serviceentry"] = "derive", ["wle"] = "derive",
        ["ip-autoallocate"] = "addresses",
        ["kube"] = "clusters", ["krt"] = "clusters", ["controllers"] = "clusters", ["secretcontroller"] = "clusters", ["monitoring"] = "metrics",
        ["security"] = "ca", ["serverca"] = "ca", ["pkica"] = "ca", ["pkira"] = "ca", ["rootcertrotator"] = "ca",
        ["validation"] = "webhooks", ["validationController"] = "webhooks", ["validationServer"] = "webhooks",
    };

    private readonly ConcurrentDictionary<string, string> _scopeOf = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, LogLevel> _levels = new(StringComparer.Ordinal);
    private volatile LogLevel _lowest = LogLevel.Information;

    public IReadOnlyList<string> Scopes =>
        [.. _levels.Keys.Concat(OfIstiod.Where(alias => _levels.ContainsKey(alias.Value)).Select(alias => alias.Key)).Order(StringComparer.Ordinal)];

    /// <summary>The words for levels, lowest first.</summary>
    public static IEnumerable<string> Words => Names.Select(level => level.Name);

    /// <summary>The level of a scope, in Istio's words; null when there is no such scope.</summary>
    public string? Of(string scope) => _levels.TryGetValue(Own(scope), out var level) ? Names.First(known => known.Level >= level).Name : null;

    /// <returns>False when there is no such scope or level.</returns>
    public bool TrySet(string scope, string level)
    {
        scope = Own(scope);
        if (!_levels.ContainsKey(scope) || !Names.Any(known => known.Name == level)) return false;
        _levels[scope] = Names.First(known => known.Name == level).Level;
        _lowest = _levels.Values.Min();
        return true;
    }

    private static string Own(string scope) => OfIstiod.GetValueOrDefault(scope, scope);

    /// <summary>The filter of the log; most questions are about messages that no scope lets through.</summary>
    public bool IsEnabled(string? category, LogLevel level) => level >= _lowest && level >= _levels[ScopeOf(category ?? "")];

    /// <summary>Learns of a scope; writes nothing.</summary>
    public ILogger CreateLogger(string categoryName)
    {
        ScopeOf(categoryName);
        return NullLogger.Instance;
    }

    public void Dispose()
    {
        // Nothing to release.
    }

    private string ScopeOf(string category) => _scopeOf.GetOrAdd(category, name =>
    {
        var scope = name.Split('.') switch
        {
            ["Isthmus", "ControlPlane", var part, _, ..] => part.ToLowerInvariant(),
            ["Isthmus", ..] => "default",
            _ => Server,
        };
        _levels.TryAdd(scope, scope == Server ? LogLevel.Warning : LogLevel.Information);
        return scope;
    });
}
