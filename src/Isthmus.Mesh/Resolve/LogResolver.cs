using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>Which access logs proxies write: Telemetries from the most general to the workload's own, over the default providers of MeshConfig.</summary>
internal static class LogResolver
{
    /// <returns>For calls that the workload makes, or its gateway forwards; and for calls to it. Null: as <c>accessLogFile</c> of MeshConfig says.</returns>
    public static (ValueList<LogPlan>? OfClient, ValueList<LogPlan>? OfServer) Of(IEnumerable<Telemetry> telemetries, ProxyScope scope, MeshReads mesh)
    {
        var levels = telemetries.Where(item => !item.Logging.IsEmpty).Select(item => item.Logging).ToList();
        if (levels.Count == 0 && mesh.Mesh.DefaultLoggers.IsEmpty) return (null, null);
        return (Plans(levels, rule => rule.OfClients, scope, mesh), Plans(levels, rule => rule.OfServers, scope, mesh));
    }

    private static ValueList<LogPlan> Plans(List<ValueList<LogRule>> levels, Func<LogRule, bool> isFor, ProxyScope scope, MeshReads mesh)
    {
        var parents = mesh.Mesh.DefaultLoggers;
        // The most specific Telemetry that names providers replaces those of the others.
        var named = levels.Select(level => level.Where(isFor).SelectMany(rule => rule.Providers).ToList()).LastOrDefault(names => names.Count > 0);
        var wanted = (named ?? parents.AsEnumerable()).ToHashSet(StringComparer.Ordinal);
        var filters = new SortedDictionary<string, string>(StringComparer.Ordinal);
        if (levels.Count == 0)
        {
            foreach (var name in wanted) filters[name] = "";
        }
        foreach (var rule in levels.SelectMany(level => level))
        {
            if (!rule.Providers.IsEmpty) parents = rule.Providers;
            foreach (var name in parents.Where(name => wanted.Contains(name) && isFor(rule)))
            {
                if (rule.IsDisabled) filters.Remove(name);
                else filters[name] = rule.Filter.Length > 0 || !rule.Providers.IsEmpty ? rule.Filter : filters.GetValueOrDefault(name, "");
            }
        }
        return filters.Where(item => mesh.Mesh.Loggers.ContainsKey(item.Key))
            .Select(item => Plan(mesh.Mesh.Loggers[item.Key], item.Value, scope, mesh)).OfType<LogPlan>().ToValueList();
    }

    /// <summary>Null if the mesh does not know the service.</summary>
    private static LogPlan? Plan(AccessLogger logger, string filter, ProxyScope scope, MeshReads mesh) =>
        logger.Service is not { } service ? new(logger, filter) : mesh.HostOf(service.Host, service.Port, scope) is { } host ? new(logger, filter, host) : null;
}
