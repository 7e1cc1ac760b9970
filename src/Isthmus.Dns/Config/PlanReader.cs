using System.Globalization;
using System.Net;
using Isthmus.Core.Collections;

namespace Isthmus.Dns.Config;

/// <summary>Turns server blocks into plans: checks every plugin and argument, and reports errors with their line.</summary>
public sealed class PlanReader
{
    private const int DefaultPort = 53;

    private readonly string _source;
    private readonly int _port;
    private ServerPlan _plan = new([]);

    private PlanReader(string source, int port) => (_source, _port) = (source, port);

    /// <param name="port">The port of zones that name none (<c>-dns.port</c>).</param>
    /// <exception cref="CorefileException">Something in the text cannot be used.</exception>
    public static ServerPlan Read(string text, string source, Func<string, string?> environment, int port = DefaultPort)
    {
        var reader = new PlanReader(source, port);
        var zones = new List<ZonePlan>();
        foreach (var block in CorefileParser.Parse(text, source, environment)) reader.ReadBlock(block, zones);
        foreach (var twice in zones.GroupBy(zone => (zone.Zone, zone.Port)).Where(group => group.Count() > 1))
            throw new CorefileException(source, twice.Last().Line,
                $"the zone '{(twice.Key.Zone.Length == 0 ? "." : twice.Key.Zone)}:{twice.Key.Port}' is served twice (first in line {twice.First().Line})");
        return reader._plan with { Zones = [.. zones] };
    }

    private void ReadBlock(ServerBlock block, List<ZonePlan> zones)
    {
        var keys = block.Keys.Select(key => Key(key, block.Line)).ToList();
        var plugins = new List<PluginPlan>();
        ValueList<IPAddress> bind = [];
        foreach (var directive in block.Directives)
        {
            if (directive.Name == "bind")
                bind = [.. directive.Arguments.Select(text => IPAddress.TryParse(text, out var address)
                    ? address
                    : throw Wrong(directive, $"bind: '{text}' is not an address"))];
            else if (ReadPlugin(directive, [.. keys.Select(key => key.Zone)]) is { } plugin) plugins.Add(plugin);
        }
        zones.AddRange(keys.Select(key => new ZonePlan(key.Zone, key.Port, [.. plugins], block.Line) { Bind = bind }));
    }

    /// <summary><c>ZONE[:PORT]</c>, perhaps with <c>dns://</c> in front.</summary>
    private (string Zone, int Port) Key(string key, int line)
    {
        var rest = key.StartsWith("dns://", StringComparison.Ordinal) ? key[6..] : key;
        if (rest.Contains("://", StringComparison.Ordinal)) throw new CorefileException(_source, line, $"'{key}': only plain DNS is served (dns://)");
        var port = _port;
        var colon = rest.LastIndexOf(':');
        if (colon >= 0)
        {
            if (!int.TryParse(rest[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out port) || port is 0 or > 65535)
                throw new CorefileException(_source, line, $"'{key}': '{rest[(colon + 1)..]}' is not a port");
            rest = rest[..colon];
        }
        return (CorefileValues.Zone(rest) ?? throw new CorefileException(_source, line, $"'{key}' is not a zone"), port);
    }

    private PluginPlan? ReadPlugin(Directive d, ValueList<string> zones)
    {
        switch (d.Name)
        {
            case "errors": return new ErrorsPlan(d.Line);
            case "log": return new LogPlan([.. d.Block.Where(line => line.Name == "class").SelectMany(line => line.Arguments)], d.Line);
            case "cache": return ReadCache(d, zones);
            case "loop": return new LoopPlan(d.Line);
            case "loadbalance": return new LoadBalancePlan(d.Line);
            case "whoami": return new WhoamiPlan(d.Line);
            case "minimal": return new MinimalPlan(d.Line);
            case "kubernetes": return KubernetesReader.Read(d, zones, _source);
            case "multicluster": return KubernetesReader.ReadSet(d, zones, _source);
            case "forward": return ReadForward(d);
            case "grpc": return new GrpcPlan(ZoneOf(d, Argument(d, 0, "the zone to forward")), [.. d.Arguments.Skip(1)], d.Line);
            case "hosts": return ReadHosts(d, zones);
            case "template": return ReadTemplate(d, zones);
            case "health":
                _plan = _plan with { Health = Listen(d, ":8080"), Lameduck = Find(d, "lameduck") is { } lameduck ? Duration(lameduck, 0) : _plan.Lameduck };
                return null;
            case "ready":
                _plan = _plan with { Ready = Listen(d, ":8181") };
                return null;
            case "prometheus":
                _plan = _plan with { Metrics = Listen(d, "localhost:9153") };
                return null;
            case "reload":
                for (var i = 0; i < d.Arguments.Count; i++) Duration(d, i);
                _plan = _plan with { Reload = true };
                return null;
            // These have no effect that clients of a cluster's DNS can see.
            case "bufsize" or "cancel" or "debug" or "metadata" or "nsid" or "pprof" or "root" or "timeouts" or "trace":
                return null;
            default:
                throw Wrong(d,
                    $"unknown plugin '{d.Name}' (known: bind, cache, errors, forward, grpc, health, hosts, kubernetes, loadbalance, log, loop, minimal, "
                        + $"multicluster, prometheus, ready, reload, template, whoami)");
        }
    }

    private CachePlan ReadCache(Directive d, ValueList<string> zones)
    {
        var ttl = d.Arguments.Count > 0 && int.TryParse(d.Arguments[0], NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given : (int?)null;
        var named = d.Arguments.Skip(ttl is null ? 0 : 1).Select(zone => ZoneOf(d, zone)).ToValueList();
        var plan = new CachePlan(ttl ?? 3600, ttl ?? 1800, named.IsEmpty ? zones : named, d.Line);
        foreach (var line in d.Block)
        {
            switch (line.Name)
            {
                case "success":
                    plan = plan with
                    {
                        SuccessCapacity = Number(line, 0), SuccessTtl = line.Arguments.Count > 1 ? Number(line, 1) : plan.SuccessTtl,
                        MinimumTtl = line.Arguments.Count > 2 ? Number(line, 2) : plan.MinimumTtl
                    };
                    break;
                case "denial":
                    plan = plan with { DenialCapacity = Number(line, 0), DenialTtl = line.Arguments.Count > 1 ? Number(line, 1) : plan.DenialTtl };
                    break;
                case "serve_stale":
                    plan = plan with { ServeStale = line.Arguments.Count > 0 ? Duration(line, 0) : TimeSpan.FromHours(1) };
                    break;
                case "disable":
                    var off = line.Arguments.Count > 1 ? line.Arguments.Skip(1).Select(zone => ZoneOf(line, zone)).ToValueList() : plan.Zones;
                    plan = Argument(line, 0, "success or denial") switch
                    {
                        "success" => plan with { SuccessDisabled = off },
                        "denial" => plan with { DenialDisabled = off },
                        var other => throw Wrong(line, $"cache: disable takes success or denial, not '{other}'"),
                    };
                    break;
                case "prefetch" or "servfail" or "keepttl":
                    break;
                default:
                    throw Unknown(d, line);
            }
        }
        return plan;
    }

    private ForwardPlan ReadForward(Directive d)
    {
        var from = ZoneOf(d, Argument(d, 0, "the zone to forward"));
        var to = d.Arguments.Skip(1).Select(target => Target(d, target)).ToValueList();
        if (to.IsEmpty) throw Wrong(d, "forward: to whom? Give addresses, or /etc/resolv.conf");
        var plan = new ForwardPlan(from, to, d.Line);
        foreach (var line in d.Block)
        {
            plan = line.Name switch
            {
                "except" => plan with { Except = [.. plan.Except, .. line.Arguments.Select(zone => ZoneOf(line, zone))] },
                "force_tcp" => plan with { ForceTcp = true },
                "max_fails" => plan with { MaxFails = Number(line, 0) },
                "max_concurrent" => plan with { MaxConcurrent = Number(line, 0) },
                "health_check" => plan with { HealthCheck = Duration(line, 0) },
                "policy" => plan with
                {
                    Policy = Argument(line, 0, "random, round_robin or sequential") switch
                    {
                        "random" => ForwardPolicy.Random,
                        "round_robin" => ForwardPolicy.RoundRobin,
                        "sequential" => ForwardPolicy.Sequential,
                        var other => throw Wrong(line, $"forward: policy '{other}' is not random, round_robin or sequential"),
                    },
                },
                "prefer_udp" or "expire" or "next" or "failfast_all_unhealthy_upstreams" => plan,
                _ => throw Unknown(d, line),
            };
        }
        return plan;
    }

    private string Target(Directive d, string target)
    {
        if (target.StartsWith('/')) return target;
        var text = target.StartsWith("dns://", StringComparison.Ordinal) ? target[6..] : target;
        if (text.Contains("://", StringComparison.Ordinal)) throw Wrong(d, $"forward: '{target}': only plain DNS is spoken to others (dns://)");
        if (IPAddress.TryParse(text, out var bare)) return new IPEndPoint(bare, DefaultPort).ToString();
        return IPEndPoint.TryParse(text, out var endpoint) ? endpoint.ToString() : throw Wrong(d, $"forward: '{target}' is neither an address nor a file");
    }

    private HostsPlan ReadHosts(Directive d, ValueList<string> zones)
    {
        var file = d.Arguments.Count > 0 && d.Arguments[0].StartsWith('/') ? d.Arguments[0] : null;
        var named = d.Arguments.Skip(file is null ? 0 : 1).Select(zone => ZoneOf(d, zone)).ToValueList();
        var inline = d.Block.Where(line => IPAddress.TryParse(line.Name, out _)).Select(line => $"{line.Name} {string.Join(' ', line.Arguments)}")
            .ToValueList();
        var plan = new HostsPlan(file ?? (inline.IsEmpty ? "/etc/hosts" : null), inline, named.IsEmpty ? zones : named, d.Line);
        foreach (var line in d.Block)
        {
            if (IPAddress.TryParse(line.Name, out _)) continue;
            plan = line.Name switch
            {
                "fallthrough" => plan with { Fallthrough = [.. line.Arguments.Select(zone => ZoneOf(line, zone))] },
                "ttl" => plan with { Ttl = (uint)Number(line, 0) },
                "no_reverse" or "reload" => plan,
                _ => throw Unknown(d, line),
            };
        }
        return plan;
    }

    private TemplatePlan ReadTemplate(Directive d, ValueList<string> zones)
    {
        var @class = Argument(d, 0, "a class (IN or ANY)");
        if (@class is not ("IN" or "ANY")) throw Wrong(d, $"template: '{@class}' is not a class that is served (IN or ANY)");
        var named = d.Arguments.Skip(2).Select(zone => ZoneOf(d, zone)).ToValueList();
        var plan = new TemplatePlan(Argument(d, 1, "a type such as A or ANY"), named.IsEmpty ? zones : named, d.Line);
        foreach (var line in d.Block)
        {
            plan = line.Name switch
            {
                "match" => plan with { Matches = [.. plan.Matches, .. line.Arguments] },
                "answer" => plan with { Answers = [.. plan.Answers, .. line.Arguments] },
                "rcode" => plan with { Code = Argument(line, 0, "a code such as NXDOMAIN") },
                "fallthrough" => plan with { Fallthrough = [.. line.Arguments.Select(zone => ZoneOf(line, zone))] },
                _ => throw Unknown(d, line),
            };
        }
        return plan;
    }

    private IPEndPoint Listen(Directive d, string otherwise)
    {
        var text = d.Arguments.Count > 0 ? d.Arguments[0] : otherwise;
        return CorefileValues.Listen(text) ?? throw Wrong(d, $"{d.Name}: '{text}' is not an address to listen at, such as {otherwise}");
    }

    private static Directive? Find(Directive d, string name) => d.Block.FirstOrDefault(line => line.Name == name);

    private string ZoneOf(Directive d, string text) => CorefileValues.Zone(text) ?? throw Wrong(d, $"{d.Name}: '{text}' is not a zone");

    private string Argument(Directive d, int index, string what) =>
        index < d.Arguments.Count ? d.Arguments[index] : throw Wrong(d, $"{d.Name}: {what} is missing");

    private int Number(Directive d, int index) =>
        int.TryParse(Argument(d, index, "a number"), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw Wrong(d, $"{d.Name}: '{d.Arguments[index]}' is not a number");

    private TimeSpan Duration(Directive d, int index) =>
        CorefileValues.Duration(Argument(d, index, "a time such as 5s")) ?? throw Wrong(d, $"{d.Name}: '{d.Arguments[index]}' is not a time such as 5s");

    private CorefileException Unknown(Directive d, Directive line) => Wrong(line, $"{d.Name}: unknown setting '{line.Name}'");

    private CorefileException Wrong(Directive d, string message) => new(_source, d.Line, message);
}
