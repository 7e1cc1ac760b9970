using Isthmus.Core.Collections;
using System.Net;
using System.Globalization;
using System.Text.RegularExpressions;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Core.Time;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Explain.Tracing.Steps;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>Why a call failed although the configuration is right on its whole path: the proxy that saw the failure shows
/// where.</summary>
internal sealed partial class CallBlame(TracedCall traced, CallTrace trace, MadeCall call)
{
    /// <summary>Long enough for a TLS connection to another region.</summary>
    private static readonly TimeSpan ShortConnect = TimeSpan.FromSeconds(1);

    private readonly TraceFacts _facts = traced.Facts;

    public Problem Find() =>
        Overflow() ?? Filtered() ?? Delayed() ?? RouteTimeout() ?? IdleBlame.Of(traced, trace, call, HopsOfWay()) ?? NotTls() ?? DeclaredOtherwise()
            ?? Discord() ?? AtCallee() ?? DroppedTls() ?? OtherProtocol() ?? ProtocolCauses.Closed(traced, call, Where()) ?? OutOfTime() ?? AtGateway()
            ?? TlsOrigination() ?? ConnectTimeout() ?? Refused() ?? Sealed() ?? OnTheWay();

    /// <summary>A filter of a proxy on the way answered instead of the application.</summary>
    private Problem? Filtered() => Denied() ?? traced.Check
        ?? new AuthorizerCauses(_facts).Find(call, Told("route", HopFacts.RewriteFact).Length > 0 ? "" : traced.Path)
        ?? RefusingFilter.Find(_facts.Client.ToString(), call.Flags, call.Detail)
        ?? _facts.Sightings.All.Where(seen => seen.IsRequest).Select(seen => RefusingFilter.Find(seen.Proxy.ToString(), seen.Flags, seen.Details))
            .FirstOrDefault(found => found is not null);

    /// <summary>The policies of a proxy denied the call, although the configuration that was read allows it.</summary>
    private Problem? Denied()
    {
        const string Told = "rbac_access_denied_matched_policy[";
        if (_facts.Sightings.All.FirstOrDefault(seen => seen.Details.StartsWith(Told, StringComparison.Ordinal)) is not { } seen) return null;
        var policy = PolicyCauses.Describe(seen.Details[Told.Length..]);
        var config = _facts.ConfigOf(_facts.Clusters.First(one => one.Context == seen.Proxy.Context));
        return Faults.Of("ISM2064", policy.Length > 0 ? $"{policy} in {config.Context}" : seen.Proxy.ToString(), "",
            $"{(policy.Length > 0 ? $"denies the call at {seen.Proxy}" : "no AuthorizationPolicy that applies to it allows the call")} ({seen.Details})",
            "see its policies, which decide by what its proxy sees of the call, such as its own view of the caller's address: isthmus authz check "
                + $"{seen.Proxy.Name}.{seen.Proxy.Namespace} --context={seen.Proxy.Context}");
    }

    /// <summary>The call speaks another protocol than the port declares.</summary>
    private Problem? DeclaredOtherwise() => DeclaredPort.Of(traced)?.Contradiction(traced);

    /// <summary>The connection ended, and Services do not agree about what is spoken there.</summary>
    private Problem? Discord() =>
        (call.HasFlag("UC") || call.HasFlag("UPE") || _facts.Sightings.All.Any(seen => HasFlag(seen, "UC", "UPE"))) && Port() is { } port
        ? ProtocolCauses.Discord(traced, port) : null;

    /// <summary>A fault holds the call back for longer than it may take.</summary>
    private Problem? Delayed() =>
        (call.IsOutOfTime || call.HasFlag("UT")) && _facts.Sightings.All.Count == 0 && Told("route", HopFacts.DelayFact) is { Length: > 0 } delay
        ? Faults.Of("ISM2087", Route(), "spec.http[*].fault.delay",
            $"injects a delay of {delay}, and there was no answer when {(call.IsOutOfTime ? "the trace" : "the route")} gave up after "
                + $"{Seconds(call.Milliseconds)}",
            "remove the fault")
        : null;

    /// <summary>The caller's proxy gave up, because the route says so.</summary>
    private Problem? RouteTimeout()
    {
        // Without a status, the response had begun.
        if (!call.HasFlag("UT") || call.Status is not (0 or 504)) return null;
        var isOfApi = Told("route", HopFacts.ApiRuleFact).Length > 0;
        var (all, one) = isOfApi ? ("spec.rules[*].timeouts.request", "timeouts.backendRequest") : ("spec.http[*].timeout", "retries.perTryTimeout");
        if (TimeSpan.TryParse(Told("route", HopFacts.TryTimeoutFact), CultureInfo.InvariantCulture, out var each) && call.Status != 0
            && (!TimeSpan.TryParse(Told("route", HopFacts.TimeoutFact), CultureInfo.InvariantCulture, out var whole)
                || call.Milliseconds < whole.TotalMilliseconds))
        {
            return Faults.Of(Faults.GaveUp, Route(), $"{(isOfApi ? "spec.rules[*]" : "spec.http[*]")}.{one}",
                $"gives each try {Seconds(each.TotalMilliseconds)}, and {Where()} did not answer within it: the response is 504 ({call.Flags})",
                "allow more time, or find out why the application is slow");
        }
        // The limit of each try ends the call as well, once the timeout allows more.
        var isTried = each > TimeSpan.Zero;
        return TimeSpan.TryParse(Told("route", HopFacts.TimeoutFact), CultureInfo.InvariantCulture, out var timeout)
            ? Faults.Of(Faults.GaveUp, Route(), all,
                $"gives up after {Seconds(timeout.TotalMilliseconds)}"
                    + (isTried ? $" for all tries, of which each may take {Seconds(each.TotalMilliseconds)}, " : ", ")
                    + (call.Status == 0 ? $"and the response of {Where()} had not ended by then: it is cut off (UT)"
                        : $"and {Where()} had not answered by then: the response is 504 (UT)"),
                $"allow more time{(isTried ? $" there and in {one}" : "")}, or find out why the application is slow") : null;
    }

    /// <summary>Each try ended before the application answered, and the next one began; null where the trace did not wait for longer than one try.</summary>
    private Problem? TriedAgain()
    {
        if (!TimeSpan.TryParse(Told("route", HopFacts.TryTimeoutFact), CultureInfo.InvariantCulture, out var each) || each <= TimeSpan.Zero
            || call.Milliseconds < each.TotalMilliseconds * 1.5) return null;
        var isOfApi = Told("route", HopFacts.ApiRuleFact).Length > 0;
        var field = isOfApi ? "timeouts.backendRequest" : "retries.perTryTimeout";
        return Faults.Of(Faults.GaveUp, Route(), isOfApi ? $"spec.rules[*].{field}" : $"spec.http[*].{field}",
            $"gives each try {Seconds(each.TotalMilliseconds)}, and {Where()} did not answer within it: its proxy tried again, until the trace gave up after "
                + Seconds(call.Milliseconds),
            $"allow more time in {field}, or find out why the application is slow");
    }

    /// <summary>The caller's proxy begins TLS that the other end does not speak, or with a certificate that it does not accept.</summary>
    private Problem? TlsOrigination() =>
        (call.Detail.Contains("TLS_error", StringComparison.Ordinal) || call is { IsOutOfTime: true, IsConnected: false })
        && HopsOfWay().Where(hop => hop.Name == "TLS").SelectMany(hop => hop.Facts).FirstOrDefault(fact => fact.Name == HopFacts.OriginFact) is { } by
            ? new OriginatedTls(_facts, Where(), HopsOfWay().Any(hop => hop.Name == "inbound")).Of(by.Value,
                call.IsOutOfTime ? $"no answer within {Seconds(call.Milliseconds)}" : call.Detail) : null;

    /// <summary>The time that a DestinationRule gives connections is over sooner than any network needs.</summary>
    private Problem? ConnectTimeout()
    {
        if (!call.Detail.Contains("connection_timeout", StringComparison.Ordinal)
            || !TimeSpan.TryParse(Told("cluster", HopFacts.ConnectFact), CultureInfo.InvariantCulture, out var limit) || limit >= ShortConnect) return null;
        var rule = Told("cluster", HopFacts.DestinationRuleFact);
        return Faults.Of("ISM2114", $"{(rule.Length > 0 ? $"DestinationRule {rule}" : "MeshConfig")} in {_facts.ConfigOf(_facts.Home).Context}",
            rule.Length > 0 ? "spec.trafficPolicy.connectionPool.tcp.connectTimeout" : "connectTimeout",
            $"gives connections {Seconds(limit.TotalMilliseconds)}, TLS included, and {Where()} had not answered by then: connection_timeout",
            "raise it to what the network needs, or remove it: the default is 10s");
    }

    /// <summary>The caller's proxy begins mutual TLS of the mesh with what is no Pod, and gets no answer to it.</summary>
    private Problem? Sealed()
    {
        if (call.IsConnected
            || HopsOfWay().SelectMany(hop => hop.Facts).FirstOrDefault(fact => fact.Name == HopFacts.SealedFact)?.Value is not { Length: > 0 } entry)
        {
            return null;
        }
        var at = _facts.ConfigOf(_facts.Home).Context;
        if (entry.StartsWith("DestinationRule", StringComparison.Ordinal))
            return Faults.Of("ISM2067", $"{entry} in {at}", "spec.trafficPolicy.tls.mode",
                $"is ISTIO_MUTUAL, so callers begin mutual TLS of the mesh at {Sealing()}",
                "if no proxy of the mesh runs there, remove trafficPolicy.tls, or set SIMPLE if the server speaks TLS; if one does, see that it runs, and that "
                    + "packets arrive there");
        var field = entry.StartsWith("WorkloadEntry", StringComparison.Ordinal) ? "spec.labels" : "spec.endpoints[*].labels";
        return Faults.Of("ISM2067", $"{entry} in {at}", $"{field}[security.istio.io/tlsMode]",
            $"says that a proxy of the mesh runs there, so callers begin mutual TLS at {Sealing()}",
            "if no proxy runs there, remove the label; if one does, see that it runs, and that packets arrive there");

        string Sealing() => $"{(call.Upstream.Length > 0 ? call.Upstream : Where())}, and there is no answer to it: "
            + (call.IsOutOfTime ? $"nothing within {Seconds(call.Milliseconds)}" : $"{call.Flags} {call.Detail}".Trim());
    }

    /// <summary>The host answers that nothing listens: packets do arrive there.</summary>
    private Problem? Refused()
    {
        if (!call.HasFlag("UF")) return null;
        var (entry, at) = (EntryOfWay(), call.Upstream.Length > 0 ? call.Upstream : Where());
        var (owner, field) = WrittenEndpoint.Place(_facts, entry);
        if (entry.Length > 0 && NoRoute().IsMatch(call.Detail))
            return Faults.Of("ISM2090", owner, field,
                $"its endpoint {at} has no host, or none to which the network of the caller has a route ({call.Detail})",
                "correct the address, or let packets of the caller's network arrive there");
        if (!RefusedConnection().IsMatch(call.Detail)) return null;
        var refuses = $"{at} refuses connections: the host answers, and nothing listens at this port";
        if (EntryPorts.Unnamed(_facts, entry, traced) is { } unnamed) return unnamed with { Message = $"{unnamed.Message}: {refuses}" };
        return GivenGateways.Of(_facts, at, refuses) is { } given ? given : entry.Length > 0
            ? Faults.Of("ISM2090", owner, field, $"its endpoint {refuses}",
                    "correct the address, or the port (targetPort of the port, or ports of the endpoint), or start what should listen there")
            : Faults.Of("ISM2090", Where(), "", refuses, "start what should listen there, or correct the port");
    }

    private string Route() => Told("route", HopFacts.RuleFact) is { Length: > 0 } rule ? $"VirtualService {rule} in {_facts.ConfigOf(_facts.Home).Context}"
        : Told("route", HopFacts.ApiRuleFact) is { Length: > 0 } route ? $"{route} in {_facts.ConfigOf(_facts.Home).Context}" : _facts.Client.ToString();

    private string Told(string hop, string fact) =>
        trace.Hops.Where(one => one.Name == hop).SelectMany(one => one.Facts).FirstOrDefault(one => one.Name == fact)?.Value ?? "";

    /// <summary>The hops of the path that the call took.</summary>
    private IEnumerable<Hop> HopsOfWay() => Way() is { } way ? trace.Hops.Where(hop => hop.Way > 0 && trace.Ways[hop.Way - 1] == way) : [];

    /// <summary>A limit of the DestinationRule refused the call.</summary>
    private Problem? Overflow()
    {
        if (!call.HasFlag("UO")) return null;
        var rule = trace.Hops.Where(hop => hop.Name == "cluster").SelectMany(hop => hop.Facts)
            .FirstOrDefault(fact => fact.Name == HopFacts.DestinationRuleFact)?.Value
            ?? "";
        return Faults.Of("ISM2079", rule.Length > 0 ? $"DestinationRule {rule} in {_facts.ConfigOf(_facts.Home).Context}" : _facts.Client.ToString(),
            "spec.trafficPolicy.connectionPool",
            "its limits refuse the call: as many connections or requests as they allow are in use (UO)",
            "raise maxConnections, http1MaxPendingRequests or http2MaxRequests, or add Pods");
    }

    /// <summary>The connection was made, and its other end does not do TLS.</summary>
    private Problem? NotTls()
    {
        if (!call.IsTlsRefused || MadeCall.Failures(call.Flags).Count > 0) return null;
        if (Port() is not { } port || !port.Protocol.IsTls() || _facts.Target.Scheme == "https")
            return Faults.Of("ISM2078", Where(), "", $"accepts the connection, but does not answer with TLS: {call.Detail}",
                $"if it speaks plain HTTP, call http://{_facts.Target.Host}:{traced.Port}");
        return Faults.Of("ISM2078", port.Object, port.Field,
            $"declares {port.Protocol.ToString().ToUpperInvariant()}, but what listens there does not answer with TLS: {call.Detail}",
            $"if the application speaks plain HTTP, {port.Declare("http")}; until then, call http://{_facts.Target.Host}:{traced.Port}");
    }

    /// <summary>The trace began TLS because of what the port declares, and a server of plain HTTP may wait for more; null for others.</summary>
    private Problem? SilentToTls() => traced.Kind != CallKinds.Tls || _facts.Target.Scheme.Length > 0
        || Port() is not { } port || !port.Protocol.IsTls() ? null
        : Faults.Of("ISM2078", port.Object, port.Field,
            $"declares {port.Name}, so the trace began TLS, and what listens there had said nothing to it after {Seconds(call.Milliseconds)}, as an "
                + "application that speaks plain HTTP does",
            $"if it does, {port.Declare("http")}; until then, trace http://{_facts.Target.Host}:{traced.Port}; if it speaks TLS, give it more time: "
                + "--timeout=30s");

    /// <summary>What else is to be said of an answer to a request for a WebSocket.</summary>
    private string NoSocket => call.IsUpgraded == false ? ", and not with 101, which begins a WebSocket" : "";

    private Problem? AtCallee()
    {
        if (_facts.Sightings.Last(_facts.IsGateway) is not { } seen) return null;
        if (_facts.IsGateway(seen.Proxy)) return OnwardBlame.Of(_facts, call, seen);
        var logs = $"kubectl --context={seen.Proxy.Context} -n {seen.Proxy.Namespace} logs {seen.Proxy.Name}";
        if (seen.Flags == "-")
        {
            var status = call.GrpcStatus is > 0 ? $"grpc-status {call.GrpcStatus}" : $"status {call.Status}";
            return CallJudgement.IsFailure(call)
                ? OnwardCalls.Tell(_facts, seen.Proxy, Faults.Of("ISM2073", seen.Proxy.ToString(), "",
                    $"its application responded with {status}{NoSocket}: the call arrived, and the mesh worked", logs))
                : null;
        }
        if (call.IsOutOfTime && TriedAgain() is { } each) return each;
        if (call.IsOutOfTime)
        {
            return Faults.Of("ISM2077", seen.Proxy.ToString(), "",
                $"the call arrived, and its application had not answered when the trace gave up after {Seconds(call.Milliseconds)}: that is the limit of the "
                    + $"trace, not of the mesh",
                $"give it more time: --timeout=30s; what it does: {logs}");
        }
        if (seen.Details.Contains("stream_idle_timeout", StringComparison.Ordinal))
        {
            return Faults.Of(Faults.GaveUp, seen.Proxy.ToString(), "stream_idle_timeout",
                $"its proxy gave up after {Seconds(seen.Milliseconds)}, in which its application sent nothing ({Told(seen)})",
                "raise stream_idle_timeout in the EnvoyFilter that sets it for these Pods, or find out why the application is slow");
        }
        if (HasFlag(seen, "UC", "UPE", "UR", "UF") && Port(seen.Proxy.Context) is { } port && port.Protocol.IsHttp2() && !IsRefused(seen))
        {
            return Faults.Of("ISM2074", port.Object, port.Field,
                $"declares {port.Protocol.ToString().ToUpperInvariant()}, so the callee's proxy speaks HTTP/2 to the application of {seen.Proxy}, which ends "
                    + $"the connection ({Told(seen)}): it probably speaks HTTP/1.1",
                $"if so, {port.Declare("http")}");
        }
        if (MalformedResponse.Of(seen.Proxy, seen.Details, Told(seen)) is { } malformed) return malformed;
        if (HasFlag(seen, "UC", "UPE", "UR") && Port(seen.Proxy.Context) is { Protocol: Protocol.Http } plain && !IsRefused(seen))
        {
            var gRPC = traced.Kind == CallKinds.Grpc;
            return Faults.Of("ISM2074", plain.Object, plain.Field,
                $"declares HTTP, so the callee's proxy speaks HTTP/1.1 to the application of {seen.Proxy}, which ends the connection ({Told(seen)}): "
                    + $"{(gRPC ? "the call is gRPC, which needs HTTP/2" : "it probably speaks something else, such as TLS or gRPC, or crashes at it")}",
                gRPC ? plain.Declare("grpc") : $"name the port by what the application speaks: https-…, grpc-… or tcp-…; if that is HTTP/1.1: {logs}");
        }
        return Faults.Of("ISM2074", seen.Proxy.ToString(), "", $"its proxy could not hand the call to the application: {Told(seen)}", logs);
    }

    /// <summary>The settings of a port take the place of all others of a DestinationRule, and do not repeat its TLS.</summary>
    private Problem? DroppedTls()
    {
        if (traced.Host is not { Services.Count: 0 } host || !(call.HasFlag("UC") || call.HasFlag("UPE"))
            || HopsOfWay().SelectMany(hop => hop.Facts).Any(fact => fact is { Name: HopFacts.OriginFact, Value.Length: > 0 })) return null;
        var config = new CallerConfig(_facts);
        foreach (var rule in config.RulesFor(host))
        {
            var index = rule.Policy.Ports.Index().FirstOrDefault(port => port.Item.Port == traced.Port && port.Item.Policy.Tls is null, (-1, default!)).Index;
            if (index < 0 || rule.Policy.Tls is not { Mode: ClientTlsMode.Simple or ClientTlsMode.Mutual } tls) continue;
            return Faults.Of("ISM2122", $"DestinationRule {rule.Namespace}/{rule.Name} in {config.At.Context}",
                $"spec.trafficPolicy.portLevelSettings[{index}]",
                $"takes the place of all that spec.trafficPolicy says for port {traced.Port}: its tls ({tls.Mode.ToString().ToUpperInvariant()}) does not "
                    + $"count there, so that the caller's proxy speaks plain text, and {Where()} does not answer it ({call.Flags} {call.Detail})",
                $"repeat tls in spec.trafficPolicy.portLevelSettings[{index}]");
        }
        return null;
    }

    /// <summary>No proxy at the callee recorded a request, as when it closes the connection by which HTTP/2 begins.</summary>
    private Problem? OtherProtocol()
    {
        if (Port() is not { } port) return null;
        if ((call.HasFlag("UC") || call.HasFlag("UPE")) && port.Protocol.IsHttp2())
        {
            return Faults.Of("ISM2074", port.Object, port.Field,
                $"declares {port.Name}, so proxies speak HTTP/2 there, and the connection ends ({call.Flags}): what listens at {Where()} probably "
                    + $"speaks HTTP/1.1, or another Service declares another protocol for the same port of these Pods",
                $"if so, {port.Declare("http")}, alike in all Services of these Pods");
        }
        if ((call.HasFlag("UC") || call.HasFlag("UPE")) && Told("cluster", HopFacts.UpgradeFact).Length > 0)
        {
            var rule = Told("cluster", HopFacts.DestinationRuleFact);
            return Faults.Of("ISM2074", $"{(rule.Length > 0 ? $"DestinationRule {rule}" : "MeshConfig")} in {_facts.ConfigOf(_facts.Home).Context}",
                rule.Length > 0 ? "spec.trafficPolicy.connectionPool.http.h2UpgradePolicy" : "h2UpgradePolicy",
                $"is UPGRADE, so the caller's proxy speaks HTTP/2, and the connection ends ({call.Flags}): what listens at {Where()} has no proxy of the "
                    + "mesh and probably speaks HTTP/1.1",
                rule.Length > 0 ? "remove it, or set DO_NOT_UPGRADE" : "set DO_NOT_UPGRADE in a DestinationRule for the host");
        }
        // Bytes came back, so the path is open.
        if (ProtocolCauses.Ended(traced, call, port, HopsOfWay(), Where()) is { } ended) return ended;
        return call.HasFlag("UPE") && port.Protocol == Protocol.Http
            ? Faults.Of("ISM2074", port.Object, port.Field, $"declares HTTP, and what listens at {Where()} answers with something else ({call.Detail})",
                $"if it speaks no HTTP, {port.Declare("tcp")}; if it expects TLS, begin TLS with trafficPolicy.tls of a DestinationRule, or "
                    + $"{port.Declare("https")}") : null;
    }

    private Problem? OutOfTime() =>
        call is not { IsOutOfTime: true, IsConnected: true } || _facts.Sightings.All.Any(sighting => !sighting.IsRequest && MadeCall.HasFailed(sighting.Flags))
            ? null
        : TriedAgain() ?? SilentToTls() ?? Faults.Of("ISM2077", Where(), "",
            $"the connection was made, and there was no answer when the trace gave up after {Seconds(call.Milliseconds)}: that is the limit of the trace, not "
                + $"of the mesh",
            "give it more time: --timeout=30s");

    private Problem? AtGateway()
    {
        if (CallJudgement.IsFailure(call) && MadeCall.Failures(call.Flags).Count == 0)
        {
            var said = call.GrpcStatus is > 0 ? $"grpc-status {call.GrpcStatus}" : $"status {call.Status}";
            said += NoSocket;
            return PodOfCall() is { } pod ? Faults.Of("ISM2073", pod.ToString(), "", $"responded with {said}",
                    $"kubectl --context={pod.Context} -n {pod.Namespace} logs {pod.Name}")
                : Faults.Of("ISM2073", Where(), "", $"responded with {said}", "check the application there");
        }
        return _facts.Sightings.All.FirstOrDefault(sighting => !sighting.IsRequest && MadeCall.HasFailed(sighting.Flags)) is { } gateway
            ? Faults.Of("ISM2075", gateway.Proxy.ToString(), "", $"could not reach {gateway.Upstream}: {Told(gateway)}",
                "check the Pod there, and the network in between")
            : null;
    }

    /// <summary>The Pod whose address the caller's proxy chose. Null if the address is another network's, or no Pod's.</summary>
    private PodRef? PodOfCall() => IPEndPoint.TryParse(call.Upstream, out var upstream)
        && _facts.PodAt(upstream.Address, "", _facts.Home, _facts.Home.NetworkOf(_facts.ClientPod)) is { } found ? PodRef.Of(found.Cluster, found.Pod) : null;

    private Problem OnTheWay()
    {
        var said = $"{call.Flags} {call.Detail}".Trim();
        if ((Lost() ?? SharedNames.Of(_facts)) is { } lost) return lost;
        if (!call.IsConnected && GivenGateways.Of(_facts, Where().Split(' ')[^1], $"nothing answers there ({said})") is { } given) return given;
        // Nothing was found that explains it for certain, but what was found comes before all guesses.
        if (trace.Hops.FirstOrDefault(hop => hop is { Status: HopStatus.Warning, Problem: not null } && !CallJudgement.IsOfOthers(hop)
            && hop.Name != GatewayStep.PolicyHop && !OutboundStep.Harmless.Contains(hop.Problem.Code)
            && (hop.Way == 0 || trace.Ways[hop.Way - 1].Title == Way()?.Title)) is { Problem: { } found })
            return Faults.Of("ISM2076", found.Object, found.Path,
                $"{_facts.Client} did not get through ({said}), and this may be why: {found.Message} ({found.Code})", found.Remedy);
        if (call.IsOutOfTime && !call.IsConnected && EntryOfWay() is { Length: > 0 } entry)
        {
            if (OfUnknownNetwork(entry) is { } unknown) return unknown;
            var (owner, field) = WrittenEndpoint.Place(_facts, entry);
            return Faults.Of("ISM2077", owner, field,
                $"nothing answered at its address when the trace gave up after {Seconds(call.Milliseconds)}, not even the beginning of a connection",
                "correct the address, or let packets of the caller's network arrive there");
        }
        if (call.IsOutOfTime)
        {
            return Faults.Of("ISM2077", Where(), "",
                $"there was no answer when the trace gave up after {Seconds(call.Milliseconds)}: that is the limit of the trace, not of the mesh. No proxy has "
                    + $"recorded the call yet, so either the application needs longer, or packets do not arrive",
                "give it more time: --timeout=30s; if that fails as well, check the network in between");
        }
        if (OfGateway() is { } policy) return policy;
        // Packets do arrive.
        if (call.HasFlag("UC") && !call.HasFlag("UF"))
            return Faults.Of("ISM2076", Where(), "",
                $"accepts the connection of {_facts.Client}, and ends it without an answer: {said}",
                "see the log of what listens there, and what it expects: another protocol, or a certificate of the client");
        return Faults.Of("ISM2076", Where(), "",
            $"{_facts.Client} did not get through: {said}{(_facts.Sightings.All.Count == 0 ? "; no proxy on the path saw the call" : "")}",
            $"no cause was found on the way of this call{(Unread().Length > 0 ? "" : ", NetworkPolicies included")}: see what 'isthmus analyze' and 'isthmus "
                + "verify' find beside it; if that is nothing, check the network in between "
                + $"({(Unread() is { Length: > 0 } unread ? $"NetworkPolicies of {unread}, which could not be read, " : "")}firewalls, routes)");
    }

    /// <summary>Neither the API server of a cluster nor what may be its gateway answers; null where the call went elsewhere.</summary>
    private Problem? Lost()
    {
        if (_facts.Clusters.Where(cluster => cluster is { Error.Length: > 0, AccessRemedy: null }).ToList() is not [var silent, ..] || call.IsConnected
            || !(call.IsOutOfTime || call.HasFlag("UF"))
            || !HopsOfWay().Any(hop => hop is { Name: "gateway", Status: HopStatus.Unknown })) return null;
        return Faults.Of("ISM1001", $"cluster {silent.Context}", "",
            $"cannot be reached: its API server does not answer ({silent.Error}), and neither does {Where()} ({call.Flags} {call.Detail}): the cluster, or the "
                + "network to it, is down",
            $"start the cluster, or mend the network to it; until then, run Pods of {_facts.Target.Host} in a cluster that can be reached");
    }

    /// <summary>The clusters whose NetworkPolicies nobody has looked at.</summary>
    private string Unread() => string.Join(", ", _facts.Clusters.Where(cluster => !cluster.Knows(MeshApi.NetworkPolicy)).Select(cluster => cluster.Context));

    /// <summary>A policy of the gateway that passes the connection on, which knows neither callers nor requests; null when there is none.</summary>
    private Problem? OfGateway()
    {
        if (!IPEndPoint.TryParse(call.Upstream, out var upstream) || GatewayPlace.Find(_facts, upstream) is not { Service: { } service })
            return null;
        return new PolicyCauses(_facts).AtPassing(service, $"{call.Flags} {call.Detail}".Trim());
    }

    /// <summary>A WorkloadEntry of a network that has no gateway: its address is called as if it were in the caller's; null for others.</summary>
    private Problem? OfUnknownNetwork(string name)
    {
        var config = _facts.ConfigOf(_facts.Home);
        var network = config.Istio<WorkloadEntry>().FirstOrDefault(one => $"WorkloadEntry {one.Namespace}/{one.Name}" == name)?.Endpoint.Network ?? "";
        if (network.Length == 0 || network == _facts.Home.NetworkOf(_facts.ClientPod) || _facts.Clusters.Any(cluster => cluster.Network == network
            || cluster.Services.Any(service => service.Metadata.Labels.GetValueOrDefault(Labels.Network) == network))) return null;
        return Faults.Of("ISM1016", $"{name} in {config.Context}", "spec.network",
            $"is {network}, but no cluster and no gateway is in that network, so the address is called directly, and nothing answers there",
            $"label the Service of that network's gateway {Labels.Network}={network}, or correct the field");
    }

    /// <summary>The object that lists the address of the path; empty when none does.</summary>
    private string EntryOfWay() => HopsOfWay().SelectMany(hop => hop.Facts).FirstOrDefault(fact => fact.Name == HopFacts.EntryFact)?.Value ?? "";

    private string Where() => Way() is { } way ? way.Title : call.Upstream.Length > 0 ? $"address {call.Upstream}" : _facts.Client.ToString();

    private Way? Way()
    {
        var way = trace.Ways.FirstOrDefault(candidate => candidate.Names(call.Upstream));
        // A connection that hangs has no address yet. With only one path, it must be on that one.
        return call.Upstream.Length == 0 && trace.Ways.Where(candidate => candidate.Percent > 0).ToList() is [var only] ? only : way;
    }

    private DeclaredPort? Port(string context = "") => DeclaredPort.Of(traced, context);

    private static bool HasFlag(Sighting seen, params ReadOnlySpan<string> flags)
    {
        foreach (var flag in flags)
            if (seen.Flags.Split(',').Contains(flag)) return true;
        return false;
    }

    /// <summary>Nothing accepted the connection, so nothing can be said of the application's protocol.</summary>
    private static bool IsRefused(Sighting seen) => seen.TransportFailure.Contains("refused", StringComparison.OrdinalIgnoreCase);

    private static string Told(Sighting seen) => $"{seen.Flags} {seen.TransportFailure} {seen.Details}".TrimEnd();

    /// <summary>What was measured is not told to the millisecond.</summary>
    private static string Seconds(double milliseconds) =>
        Durations.Text(TimeSpan.FromMilliseconds(milliseconds < 999.5 ? milliseconds : Math.Round(milliseconds / 100) * 100));

    [GeneratedRegex("connect[ _]error:[ _](?:101|113|No[ _]route[ _]to[ _]host|Network[ _](?:is[ _])?unreachable)$")]
    private static partial Regex NoRoute();

    /// <summary>The system's error, as proxies write it.</summary>
    [GeneratedRegex("connect[ _]error:[ _](?:111|Connection[ _]refused)$")]
    private static partial Regex RefusedConnection();
}
