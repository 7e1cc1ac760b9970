using Isthmus.Core.Collections;
using Isthmus.Graph.History;
using Isthmus.Mesh.Model;
using Isthmus.Reports;

namespace Isthmus.ControlPlane.PastChanges;

/// <summary>Remembered changes as control planes write them: for whoever asks, and for the control plane after this one.</summary>
internal static class ChangeReports
{
    internal static ChangeReport Of(RememberedChange remembered)
    {
        var (change, source, effect) = (remembered.Change, remembered.Change.Source, remembered.Effect);
        var (write, reach) = (change.Write, change.Reach);
        var user = change.User is { Name.Length: > 0 } known ? known : null;
        return new()
        {
            First = remembered.First, Last = remembered.Last, Count = remembered.Count, Istiod = remembered.Istiod is { Length: > 0 } istiod ? istiod : null,
            Cluster = source.Cluster, Kind = source.Kind, Namespace = source.Namespace, Name = source.Name, Verb = change.Verb.ToString().ToLowerInvariant(),
            ResourceVersion = write?.ResourceVersion, Generation = write is { Generation: > 0 } ? write.Generation : null,
            FieldManager = write is { Manager.Length: > 0 } ? write.Manager : null, Written = write?.At,
            Fields = write is { Fields.IsEmpty: false } ? [.. write.Fields] : null,
            User = user?.Name, UserProven = user?.IsProven,
            Everything = reach.IsEverything ? true : null, Gateways = reach.IsAtGateways ? true : null, Hosts = reach.Hosts.Count > 0 ? [.. reach.Hosts] : null,
            Workloads = reach.Namespace is { } ns ? new(ns, new(reach.Selector.Items)) : null,
            Scaling = change.Scaling is { } scaling ? new(scaling.Before, scaling.After) : null,
            Secret = change.Departure?.Secret, Services = change.Departure?.Services,
            Endpoints = remembered.Endpoints is { } counts ? new(Count(counts.Before), Count(counts.Fewest), Count(counts.After)) : null,
            Proxies = effect?.Proxies, ChangesInPush = effect is { Changes: > 1 } ? effect.Changes : null,
            Resources = effect is { Types.Count: > 0 }
                ? effect.Types.ToDictionary(type => type.Type, type => new ChangedResourcesReport(type.Proxies, type.Count, [.. type.Names])) : null,
        };
    }

    /// <param name="istiod">The Pod that wrote the report.</param>
    /// <returns>Null: what this program does not know, such as a verb of a newer one.</returns>
    internal static RememberedChange? Read(ChangeReport report, string istiod)
    {
        if (report.First is not { } first || report.Last is not { } last
            || !Enum.TryParse<ChangeVerb>(report.Verb, ignoreCase: true, out var verb)) return null;
        var reach = new Reach((report.Hosts ?? []).OfType<string>().ToValueList(), report.Workloads?.Namespace,
            (report.Workloads?.Labels ?? []).Where(label => label.Value is not null).ToValueMap(),
            report.Everything == true) { IsAtGateways = report.Gateways == true };
        var write = report.ResourceVersion is null && report.FieldManager is null
            ? null : new ObjectWrite(report.ResourceVersion ?? "", "", report.Generation ?? 0, report.FieldManager ?? "", report.Written, 0)
            {
                Fields = (report.Fields ?? []).OfType<string>().ToValueList(),
            };
        return new(first, last, report.Count ?? 1,
            new(new(report.Cluster ?? "", report.Kind ?? "", report.Namespace ?? "", report.Name ?? ""), verb, reach, write)
            {
                User = report.User is { } user ? new(user, report.UserProven == true) : Writer.Unknown,
                Scaling = report.Scaling is { } scaling ? new(scaling.Before, scaling.After) : null,
                Departure = report.Secret is { } secret ? new(secret, report.Services ?? 0) : null,
            },
            report.Proxies is { } proxies
                ? new(proxies, (report.Resources ?? []).Where(type => type.Value is not null)
                    .Select(type => new ChangedType(type.Key, type.Value.Proxies, type.Value.Count,
                (type.Value.Names ?? []).OfType<string>().ToValueList())).ToValueList(), report.ChangesInPush ?? 1) : null,
            report.Endpoints is { } counts ? (Count(counts.Before), Count(counts.Fewest), Count(counts.After)) : null)
        {
            Istiod = report.Istiod ?? istiod,
        };
    }

    private static CountReport Count(EndpointCount count) => new(count.Ready, count.Total);

    private static EndpointCount Count(CountReport? count) => new(count?.Ready ?? 0, count?.Total ?? 0);
}
