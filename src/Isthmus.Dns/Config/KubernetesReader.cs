using System.Globalization;
using Isthmus.Core.Collections;

namespace Isthmus.Dns.Config;

/// <summary>Reads the settings of the plugin <c>kubernetes</c>.</summary>
internal static class KubernetesReader
{
    private const uint LongestTtl = 3600;

    /// <exception cref="CorefileException">A setting is wrong.</exception>
    internal static KubernetesPlan Read(Directive d, ValueList<string> zones, string source)
    {
        CorefileException Wrong(Directive at, string message) => new(source, at.Line, $"kubernetes: {message}");
        ValueList<string> Zones(Directive at, IEnumerable<string> names) =>
            [.. names.Select(name => CorefileValues.Zone(name) ?? throw Wrong(at, $"'{name}' is not a zone"))];
        string One(Directive at) => at.Arguments.Count > 0 ? at.Arguments[0] : throw Wrong(at, $"{at.Name} needs a value");

        var named = Zones(d, d.Arguments);
        var plan = new KubernetesPlan(named.IsEmpty ? zones : named, d.Line);
        foreach (var line in d.Block)
        {
            plan = line.Name switch
            {
                "pods" => plan with
                {
                    Pods = One(line) switch
                    {
                        "disabled" => PodMode.Disabled,
                        "insecure" => PodMode.Insecure,
                        "verified" => PodMode.Verified,
                        var mode => throw Wrong(line, $"pods '{mode}' is not disabled, insecure or verified"),
                    },
                },
                "fallthrough" => plan with { Fallthrough = Zones(line, line.Arguments) },
                "ttl" => plan with
                {
                    Ttl = uint.TryParse(One(line), NumberStyles.None, CultureInfo.InvariantCulture, out var ttl) && ttl <= LongestTtl ? ttl
                        : throw Wrong(line, $"ttl '{One(line)}' is not a number of seconds from 0 to {LongestTtl}"),
                },
                "endpoint_pod_names" => plan with { EndpointPodNames = true },
                "noendpoints" => plan with { NoEndpoints = true },
                "namespaces" => plan with { Namespaces = line.Arguments },
                "labels" => plan with { LabelSelector = string.Join(' ', line.Arguments) },
                "ignore" => One(line) == "empty_service"
                    ? plan with { IgnoreEmptyService = true }
                    : throw Wrong(line, $"ignore '{One(line)}' is not empty_service"),
                "kubeconfig" => plan with { Kubeconfig = One(line), Context = line.Arguments.Count > 1 ? line.Arguments[1] : null },
                "multicluster" => plan with { SetZones = Zones(line, line.Arguments) },
                "endpoint" or "tls" or "namespace_labels" => throw Wrong(line,
                    $"the setting '{line.Name}' is not supported: use kubeconfig, or run inside the cluster"),
                "upstream" or "resyncperiod" or "transfer" => plan,
                _ => throw Wrong(line, $"unknown setting '{line.Name}'"),
            };
        }
        foreach (var zone in plan.SetZones.Where(zone => !plan.Zones.Contains(zone)))
            throw Wrong(d, $"multicluster: '{zone}' is not among the zones of the plugin ({string.Join(", ", plan.Zones)})");
        return plan;
    }

    /// <summary>The plugin <c>multicluster</c>, which serves only the names of a cluster set.</summary>
    /// <exception cref="CorefileException">A setting is wrong.</exception>
    internal static KubernetesPlan ReadSet(Directive d, ValueList<string> zones, string source)
    {
        if (d.Block.FirstOrDefault(line => line.Name is not ("kubeconfig" or "fallthrough" or "ttl")) is { } line)
            throw new CorefileException(source, line.Line, $"multicluster: unknown setting '{line.Name}'");
        var plan = Read(d, zones, source);
        return plan with { SetZones = plan.Zones };
    }
}
