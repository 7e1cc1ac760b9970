using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Certificates;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Wire.Tls;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why a gateway does not accept or route a call from outside: the Gateways that its Pods serve, and the VirtualServices bound to them.</summary>
internal sealed class EntryCauses(TraceFacts facts, CallerConfig config, CredentialCauses credentials)
{
    /// <summary>What precedes the names of Secrets in the namespace of the gateway's Pods.</summary>
    private const string Own = "kubernetes://";

    /// <summary>The code of TLS at a gateway that callers in the mesh do not begin, or begin for another host.</summary>
    private const string Unbegun = "ISM2149";

    public IngressCauses Ingresses { get; } = new(facts, config);

    private EntryElsewhere Elsewhere => new(facts, config);

    private ApiEntryCauses Api => new(facts, config, credentials);

    /// <summary>Why the Service of the gateway does not have a port. One that was made for a Gateway of the Gateway API has those of its listeners.</summary>
    public Problem WithoutPort(ServiceInCluster entry, int port) => (Serving().Any() ? null : Api.WithoutPort(port))
        ?? ServicePods.WithoutPort(entry, port, "use one of its ports, or add this one");

    /// <summary>Why a Service of the gateway that waits for a load balancer has no address.</summary>
    public Problem WithoutAddress(ServiceInCluster entry) => Api.WithoutAddress(entry) ?? EntryAddresses.Awaited(entry);

    /// <summary>Why a Service of the gateway that waits for no load balancer has no address outside.</summary>
    public Problem Inside(ServiceInCluster entry) => Api.Inside(entry) ?? EntryAddresses.Inside(entry);

    /// <summary>Why the gateway's proxy does not open a port.</summary>
    /// <param name="port">The port of the Service.</param>
    /// <param name="target">The port of the Pod.</param>
    public Problem WithoutListener(int port, int target)
    {
        var all = Serving().ToList();
        if (all.Count == 0)
        {
            if (Api is { Apply: true } api) return api.WithoutListener(port, target);
            return Ingresses.WithoutListener(facts.Target.Host, port) ?? Elsewhere.Astray(facts.Target.Host, port)
                ?? Elsewhere.Gateway(facts.Target.Host, port, target)
                ?? Faults.Of("ISM2052", facts.Client.ToString(), "metadata.labels", $"no Gateway in {config.At.Context} selects it, so its proxy opens no port",
                "create a Gateway whose selector has labels of this Pod");
        }
        if (Opening(port, target).ToList() is not [var opening, ..])
            return Elsewhere.Gateway(facts.Target.Host, port, target) ?? Faults.Of("ISM2053", Named(all[0]), "spec.servers[*].port.number",
                $"opens {string.Join(", ", all.SelectMany(gateway => gateway.Servers).Select(server => server.Port).Distinct().Order())}, but the call arrives "
                    + $"at {port}",
                $"add a server for port {port}");
        if (Unserved(opening.Gateway, opening.Server) is { } unserved) return unserved;
        if (AvailabilityCauses.OtherName(facts.Home, facts.ClientPod).Length > 0) return AvailabilityCauses.Misnamed(facts.Home, facts.ClientPod, 1);
        return Faults.Of("ISM2054", facts.Client.ToString(), "", $"its proxy has not received {Named(opening.Gateway)}",
            $"isthmus proxy-status --context={facts.Home.Context}");
    }

    /// <summary>Why a server that passes connections on has none to pass on: no route of a VirtualService is for connections; null when one is.</summary>
    private Problem? Unserved(Gateway gateway, GatewayServer server)
    {
        var routes = FollowedRoutes.Of(server);
        if (routes.Kind == "http" || server.Tls is { Mode: ServerTlsMode.AutoPassthrough }) return null;
        var bound = config.At.Istio<VirtualService>().Where(service => IsBound(service, gateway)
            && service.Hosts.Any(host => Hosts.Admits(gateway, server, host, service.Namespace))).ToList();
        if (bound.Exists(routes.Has)) return null;
        return bound is [var first, ..] ? Misplaced(first, gateway, routes, "the gateway opens no port for it")
            : Faults.Of("ISM2085", Named(gateway), "", $"no VirtualService with this Gateway has {routes.Kind} routes, and {Serves(gateway, routes)}",
                $"create a VirtualService with {routes.Kind} routes and gateway {gateway.FullName}");
    }

    /// <summary>A VirtualService has routes of another kind than those that a server follows.</summary>
    private Problem Misplaced(VirtualService service, Gateway gateway, FollowedRoutes routes, string then)
    {
        var kind = FollowedRoutes.KindOf(service);
        return Faults.Of("ISM2085", $"VirtualService {service.Namespace}/{service.Name} in {config.At.Context}", $"spec.{kind}",
            $"has routes for {FollowedRoutes.For(kind)} only, and {Serves(gateway, routes)}, so {then}", routes.Remedy(kind));
    }

    private string Serves(Gateway gateway, FollowedRoutes routes) =>
        $"server {gateway.Servers.ToList().IndexOf(routes.Server)} of {Named(gateway)} {routes.Does}";

    /// <summary>The routes of a server that passes TLS on are for other server names than the call's; null where one is for it.</summary>
    private Problem? Unnamed(Gateway gateway, GatewayServer server, TracedCall call)
    {
        if (call.Kind != CallKinds.Tls || server.Tls is not { Mode: ServerTlsMode.Passthrough }) return null;
        var routing = config.At.Istio<VirtualService>().Where(service => IsBound(service, gateway) && !service.Tls.IsEmpty
            && service.Hosts.Any(host => Hosts.Covers(host, facts.Target.Host))).ToList();
        var names = routing.SelectMany(service => service.Tls).SelectMany(route => route.Matches).SelectMany(match => match.SniHosts).Distinct().ToList();
        if (names.Count == 0 || names.Exists(name => Hosts.Covers(name, facts.Target.Host))) return null;
        var (first, index) = (routing[0], routing[0].Tls.Index().FirstOrDefault(route => !route.Item.Matches.IsEmpty).Index);
        return Faults.Of("ISM2085", $"VirtualService {first.Namespace}/{first.Name} in {config.At.Context}", $"spec.tls[{index}].match[0].sniHosts",
            $"has {string.Join(", ", names)}, and not {facts.Target.Host}: {Named(gateway)} passes TLS on by its server name, and closes connections for "
                + "others",
            $"add {facts.Target.Host} to sniHosts");
    }

    /// <summary>Why no chain accepts the connection.</summary>
    /// <param name="hasTls">Whether some chain of the port ends TLS.</param>
    public Problem WithoutChain(TracedCall call, bool hasTls)
    {
        var opening = Opening(call.Port, call.Destination.Port).ToList();
        if (opening.Count == 0 && Api.WithoutChain(call.Kind == CallKinds.Tls, hasTls, facts.Target.Host, call.Port, call.Destination.Port) is { } refused)
            return refused;
        foreach (var (passing, server) in opening)
            if (server.Hosts.Any(pattern => Hosts.Covers(Bare(pattern), facts.Target.Host))
                && (Unserved(passing, server) ?? Unnamed(passing, server, call)) is { } unserved) return unserved;
        if (hasTls && call.Kind != CallKinds.Tls && facts.From is { } from && Plain(opening, call, from) is { } plain) return plain;
        var owner = Nearest(opening, facts.Target.Host).Gateway is { } gateway ? Named(gateway) : facts.Client.ToString();
        var ending = opening.Where(one => one.Server.Tls is not null).SelectMany(one => one.Server.Hosts).Select(Bare).Distinct().ToList();
        if (call.Kind == CallKinds.Tls && NamelessTls.Refused(facts.Target.Host, owner, "spec.servers[*].hosts", ending) is { } nameless) return nameless;
        if (call.Kind == CallKinds.Tls != hasTls)
        {
            return Faults.Of("ISM2084", owner, "spec.servers[*].tls",
                hasTls
                    ? $"accepts only TLS at port {call.Port}, and the call is plain text"
                    : $"accepts no TLS at port {call.Port}, and the call begins with it",
                hasTls
                    ? $"call https://{facts.Target.Host}:{call.Port}"
                    : $"call http://{facts.Target.Host}:{call.Port}, or let the server end TLS (tls.mode: SIMPLE)");
        }
        return Elsewhere.Gateway(facts.Target.Host, call.Port, call.Destination.Port) ?? Faults.Of("ISM2055", owner, "spec.servers[*].hosts",
            $"has {HostsOf(Nearest(opening, facts.Target.Host).Gateway is { } meant ? opening.Where(one => one.Gateway == meant) : opening)}, but not "
                + $"{facts.Target.Host}",
            "add the host to the server, or call one that it has");
    }

    /// <summary>A server that ends TLS, to which a proxy of the mesh sends plain text: nothing tells it to begin TLS. Null when no server is known.</summary>
    private Problem? Plain(IReadOnlyList<(Gateway Gateway, GatewayServer Server)> opening, TracedCall call, PodRef from)
    {
        if (Nearest([.. opening.Where(one => one.Server.Tls is not null)], facts.Target.Host) is not ({ } gateway, { Tls: { } tls } server)) return null;
        var (entry, host) = (facts.Entry!.Service.Metadata, facts.Target.Host);
        var mode = tls.Mode == ServerTlsMode.IstioMutual ? $"ISTIO_MUTUAL, sni: {host}" : $"SIMPLE, sni: {host}";
        return Faults.Of(Unbegun, Named(gateway), $"spec.servers[{gateway.Servers.ToList().IndexOf(server)}].tls.mode",
            $"is {tls.ModeText}, and the calls of {from} come there in plain text: "
                + $"no DestinationRule that it follows begins TLS at {entry.Name}.{entry.Namespace}",
            $"create a DestinationRule for {entry.Name}.{entry.Namespace}.svc.{WellKnown.DefaultDomainSuffix} with trafficPolicy.portLevelSettings: "
                + $"[{{port: {{number: {call.Port}}}, tls: {{mode: {mode}}}}}]; or let calls come to a server without TLS");
    }

    /// <summary>TLS that a DestinationRule begins names a host that no server of the gateway has.</summary>
    /// <param name="by">The kind and name of that object; empty when nobody knows.</param>
    public Problem OtherServerName(TracedCall call, string name, string by)
    {
        var opening = Opening(call.Port, call.Destination.Port).Where(one => one.Server.Tls is not null).ToList();
        return Faults.Of(Unbegun, by.Length > 0 ? by : facts.Client.ToString(), by.Length > 0 ? "spec.trafficPolicy.tls.sni" : "",
            $"begins TLS for {(name.Length > 0 ? name : "no server name")} at the gateway{(facts.Entry is { } entry ? $" {entry.Name}" : "")}, whose servers "
                + $"with TLS at port {call.Port} are for {HostsOf(opening)}",
            $"set sni to {facts.Target.Host}, or to another host of the server");
    }

    /// <summary>Why clients that check what the gateway shows refuse it; null when they accept its time and its names.</summary>
    /// <param name="secret">The name by which the gateway's proxy asks for the certificate.</param>
    public Problem? Unacceptable(TracedCall call, string secret, ShownCertificate? certificate)
    {
        var host = facts.Target.Host;
        var (owner, field) = Ending(call, "certificateRefs");
        var credential = Bared(secret);
        if (certificate is null)
        {
            if (!secret.StartsWith("kubernetes", StringComparison.Ordinal)) return UnreadFile(call, secret);
            var (ns, name) = SecretOf(credential);
            var named = field.EndsWith(".tls", StringComparison.Ordinal) ? $"{field}.credentialName" : field;
            return credentials.Unusable(owner, named, ns, name,
                    Ingresses.Ending(host)?.Ingress.Namespace)
                ?? (secret.StartsWith(Own, StringComparison.Ordinal) ? credentials.Denied($"{named} of {owner}", ns, name) : null)
                ?? Faults.Of("ISM2060", owner, field,
                    $"{facts.Client} has no certificate {credential}, so it refuses TLS: the control plane does not send it what Secret {ns}/{name} holds",
                    $"see whether the gateway is connected, and what its control plane says: isthmus proxy-status --context={facts.Home.Context}; isthmus "
                        + $"analyze --context={facts.Home.Context} -n {ns}");
        }
        if (Keys.WeaknessOf(certificate.Leaf) is { Length: > 0 } weak)
            return Faults.Of("ISM2161", owner, field, $"the certificate {credential} ({certificate.Identity}) has {weak}: handshakes fail",
                "put a certificate with another key into the Secret: RSA of 2048 bits, or EC P-256");
        if (RefusedCertificate.Of(certificate.Leaf, IPAddress.TryParse(host, out _) ? "" : host, facts.Now) is not { } refused) return null;
        var what = refused.Code == RefusedCertificate.Untimely ? credential : $"{credential} ({certificate.Identity})";
        return Faults.Of(refused.Code, owner, field, $"the certificate {what} {refused.Why}: clients refuse it",
            $"put {refused.Needed} into the Secret{refused.Besides}{(refused.Code == RefusedCertificate.Misnamed ? ", or name another Secret" : "")}");
    }

    /// <summary>What clients need to follow the certificate of the gateway, and do not get; null: nothing.</summary>
    /// <param name="secret">The name by which the gateway's proxy asks for the certificate.</param>
    public ChainGap? Unsent(string secret, ShownCertificate? certificate, ProxyView view)
    {
        if (certificate is null || ChainGap.Find(certificate.Leaf, certificate.Rest, []) is null) return null;
        var (ns, name) = SecretOf(Bared(secret));
        var beside = secret.StartsWith("kubernetes", StringComparison.Ordinal) ? credentials.Beside(ns, name) : [];
        return ChainGap.Find(certificate.Leaf, certificate.Rest, beside.Select(one => (one, $"Secret {ns}/{name} (ca.crt)"))
            .Concat(view.Authorities.Select(one => (one, ""))));
    }

    public Problem Incomplete(TracedCall call, ShownCertificate certificate, ChainGap gap)
    {
        var (owner, field) = Ending(call, "certificateRefs");
        return Faults.Of(RefusedCertificate.Unlinked, owner, field, $"the certificate {certificate.Identity} {gap.Why}", gap.Remedy);
    }

    /// <summary>The object that says which cipher suites the gateway may use names none for the key of its certificate.</summary>
    public Problem Unsuited(TracedCall call, SuiteGap gap)
    {
        var (owner, field) = Ending(call, "options");
        var isOfMesh = Ender(call).Server is { Tls.Limits.CipherSuites.IsEmpty: true } && !facts.Settings.Mesh.TlsDefaults.CipherSuites.IsEmpty;
        return isOfMesh ? Faults.Of("ISM2154", facts.MeshConfigOf(facts.Home), TraceFacts.MeshField("tlsDefaults.cipherSuites"), gap.Why, gap.Remedy)
            : Faults.Of("ISM2154", owner, field.EndsWith(".tls", StringComparison.Ordinal) ? $"{field}.cipherSuites" : field, gap.Why, gap.Remedy);
    }

    /// <summary>The gateway has none of the certificates that its proxy asks for as a file; null when none is asked for as such.</summary>
    /// <param name="secret">The name by which the gateway's proxy asks for them.</param>
    public Problem? UnreadFile(TracedCall call, string secret) => Ender(call) is ({ } gateway, { Tls: { } tls } server)
        ? credentials.Files.Unread(Named(gateway), $"spec.servers[{gateway.Servers.ToList().IndexOf(server)}].tls", tls, secret) : null;

    private static string Bared(string secret) => secret[(secret.IndexOf("://", StringComparison.Ordinal) is >= 0 and var scheme ? scheme + 3 : 0)..];

    private (string Namespace, string Name) SecretOf(string credential) =>
        credential.Split('/') is [var other, var bare] ? (other, bare) : (facts.Client.Namespace, credential);

    /// <summary>The gateway demands certificates of clients, and has no CA to check them with; null where that is the mesh's, or must be looked at first.
    /// </summary>
    /// <param name="secret">The name by which the gateway's proxy asks for the CA.</param>
    public Problem? WithoutClientCa(TracedCall call, string secret)
    {
        if (!secret.Contains("://", StringComparison.Ordinal)) return UnreadFile(call, secret);
        var (owner, field) = Ending(call, "");
        var (names, remedy) = ClientCa(secret);
        return Faults.Of("ISM2060", owner, field,
            $"{facts.Client} has no CA {names} for the certificates that it demands of clients, so it refuses TLS",
            $"{remedy}; 'isthmus analyze' says what is wrong");
    }

    /// <summary>The object that most likely says how TLS ends for the call, and its field; the Pod when it is not known.</summary>
    /// <param name="ofListener">The field below <c>tls</c> of a listener of the Gateway API.</param>
    private (string Owner, string Field) Ending(TracedCall call, string ofListener)
    {
        return Ender(call) is ({ } gateway, { } server)
            ? (Named(gateway), $"spec.servers[{gateway.Servers.ToList().IndexOf(server)}].tls")
            : Ingresses.Ending(facts.Target.Host) is var (ingress, secret) ? (Ingresses.Named(ingress), secret)
            : Api.Ending(ofListener, facts.Target.Host, call.Port, call.Destination.Port) ?? (facts.Client.ToString(), "");
    }

    /// <summary>The server that most likely ends the TLS of the call; none when it is not known.</summary>
    private (Gateway? Gateway, GatewayServer? Server) Ender(TracedCall call) =>
        Nearest([.. Opening(call.Port, call.Destination.Port).Where(one => one.Server.Tls is not null)], facts.Target.Host);

    /// <summary>The objects that hold the CAs of clients, and what to put there.</summary>
    /// <param name="secret">Names by which proxies ask for CAs (<see cref="NamedCredential.Resource"/>), with commas between them.</param>
    private static (string Names, string Remedy) ClientCa(string secret)
    {
        const string beside = "-cacert";
        if (secret.StartsWith(Own, StringComparison.Ordinal))
            return (secret[Own.Length..], "put the CA of the clients into ca.crt of the Secret that credentialName names, or into a Secret "
                + $"{secret[Own.Length..]} beside it, in the namespace of the gateway's Pods");
        var objects = secret.Split(',').Select(one => one.Split("://", 2)).Select(parts => (Kind: parts[0] switch
        {
            "configmap" => "ConfigMap",
            "clustertrustbundle" => "ClusterTrustBundle",
            _ => "Secret",
        }, Name: parts[^1].EndsWith(beside, StringComparison.Ordinal) ? parts[^1][..^beside.Length] : parts[^1])).ToList();
        return ($"of {string.Join(", ", objects.Select(one => $"{one.Kind} {one.Name}"))}",
            $"put the CA of the clients into {string.Join(", and ", objects.Select(one => one.Kind == "ClusterTrustBundle"
                ? $"spec.trustBundle of {one.Kind} {one.Name}" : $"ca.crt of {one.Kind} {one.Name}"))}");
    }

    /// <summary>The server that was most likely meant for a host: one that has it, one for which a VirtualService routes it, one whose hosts are most like
    /// it.</summary>
    private (Gateway? Gateway, GatewayServer? Server) Nearest(IReadOnlyList<(Gateway Gateway, GatewayServer Server)> servers, string host)
    {
        var routing = config.At.Istio<VirtualService>().Where(service => service.Hosts.Any(pattern => Hosts.Covers(pattern, host))).ToList();
        return servers.OrderBy(one => one.Server.Hosts.Any(pattern => Hosts.Covers(Bare(pattern), host)) ? 0 : 1)
            .ThenBy(one => routing.Exists(service => IsBound(service, one.Gateway)) ? 0 : 1)
            .ThenBy(one => one.Server.Hosts.Min(pattern => Spelling.Distance(Bare(pattern).TrimStart('*', '.'), host))).FirstOrDefault();
    }

    /// <summary>The VirtualServices with routes for requests to a host at the gateway; none for calls that do not come from outside.</summary>
    public IEnumerable<VirtualService> Routing(TracedCall call)
    {
        if (facts.Entry is null) return [];
        var host = call.Authority.Split(':')[0];
        return config.At.Istio<VirtualService>().Where(service => !service.Http.IsEmpty && service.Hosts.Any(pattern => Hosts.Covers(pattern, host))
            && Opening(call.Port, call.Destination.Port).Any(server => IsBound(service, server.Gateway)));
    }

    /// <summary>The Gateways with a server for the port and the host of a call, each with the port of that server.</summary>
    public IReadOnlyList<(string Gateway, int Port)> Doors(TracedCall call) =>
        [.. Having(call, call.Authority.Split(':')[0]).Select(one => (one.Gateway.FullName, one.Server.Port))];

    /// <summary>Why a gateway has no route for a host; null for calls that do not come from outside, and when a VirtualService routes the host.</summary>
    public Problem? Unrouted(TracedCall call)
    {
        if (facts.Entry is null) return null;
        var host = call.Authority.Split(':')[0];
        var opening = Opening(call.Port, call.Destination.Port).ToList();
        var having = Having(call, host).ToList();
        if (opening.Count == 0 && Api is { Apply: true } api) return api.Unrouted(host, call.Port, call.Destination.Port);
        if (Ingresses.Unrouted(call) is { } misled && (having.Count == 0 || misled.Code != IngressCauses.NotServed)) return misled;
        if (having.Count == 0)
        {
            if ((Elsewhere.Astray(host, call.Port) ?? Elsewhere.Gateway(host, call.Port, call.Destination.Port)) is { } astray) return astray;
            var nearest = Nearest(opening, host).Gateway;
            return Faults.Of("ISM2055", nearest is null ? facts.Client.ToString() : Named(nearest), "spec.servers[*].hosts",
                nearest is null
                    ? $"no Gateway has {host}: the response is 404"
                    : $"has {HostsOf(opening.Where(one => one.Gateway == nearest))}, but not {host}: the response is 404",
                // What leads a call of the mesh to a gateway keeps its host, unless it says otherwise.
                facts.From is not null && opening.Where(one => one.Gateway == nearest).SelectMany(one => one.Server.Hosts).Select(Bare)
                    .FirstOrDefault(name => !name.Contains('*', StringComparison.Ordinal)) is { } exact
                    ? $"let the route that leads the call there change its host (rewrite.authority: {exact}), or call {exact}; or add {host} to the server, "
                        + "with a route for it" : "add the host to the server, or call one that it has");
        }
        if (Displaced(call, having) is { } displaced) return displaced;
        // Within the mesh, the one that leads calls to the gateway is not meant for the gateway itself.
        var routing = config.At.Istio<VirtualService>().Where(service => service.Hosts.Any(pattern => Hosts.Covers(pattern, host))
            && (facts.From is null || service.Gateways.Any(gateway => gateway != VirtualService.MeshGateway))).ToList();
        var bound = routing.Where(service => having.Exists(server => IsBound(service, server.Gateway))).ToList();
        var (accepting, taking) = having.Find(one => bound.Count > 0 && IsBound(bound[0], one.Gateway) && FollowedRoutes.Of(one.Server).Kind == "http");
        if (accepting is not null && bound.TrueForAll(service => service.Http.IsEmpty))
            return Misplaced(bound[0], accepting, FollowedRoutes.Of(taking), "requests have no route: the response is 404");
        if (bound.Count > 0) return bound.Select(service => Withheld(service, [.. having.Where(one => IsBound(service, one.Gateway))], host)).FirstOrDefault();
        return routing.Count > 0
            ? Faults.Of("ISM2085", $"VirtualService {routing[0].Namespace}/{routing[0].Name} in {config.At.Context}", "spec.gateways",
                $"routes {host} for {string.Join(", ", routing[0].Gateways)}, but not for {Named(having[0].Gateway)}, which accepts the call: the response is "
                    + $"404",
                $"add {having[0].Gateway.FullName} to spec.gateways")
            : Elsewhere.Routes(having[0].Gateway, host)
            ?? having.Select(one => Elsewhere.Unattachable(one.Gateway, host)).FirstOrDefault(found => found is not null)
            ?? Faults.Of("ISM2085", Named(having[0].Gateway), "", $"no VirtualService with this Gateway routes {host}: the response is 404",
                $"create a VirtualService with host {host} and gateway {having[0].Gateway.FullName}");
    }

    /// <summary>Servers that may be meant for a call are not served, because an older Gateway has their port for another protocol; null when one is.</summary>
    /// <param name="meant">Null: those for requests of the host.</param>
    public Problem? Displaced(TracedCall call, IReadOnlyList<(Gateway Gateway, GatewayServer Server)>? meant = null)
    {
        meant ??= [.. Having(call, call.Authority.Split(':')[0]).Where(one => one.Server.Protocol.IsHttp())];
        var unserved = GatewayProtocols.In(Serving(), [.. config.At.Istio<VirtualService>()])
            .Where(one => meant.Contains((one.Gateway, one.Server))).ToList();
        return unserved is [var first, ..] && meant.All(one => unserved.Exists(other => (other.Gateway, other.Server) == one))
            ? Faults.Of("ISM2053", Named(first.Gateway), first.Path, first.Why, first.Remedy) : null;
    }

    /// <summary>What the gateway needs for not redirecting what came to the load balancer by TLS.</summary>
    private const string OnceTrusted = ", and the gateway trusts its X-Forwarded-Proto (gatewayTopology.numTrustedProxies: 1); otherwise they are redirected "
        + "for ever";

    /// <summary>A server redirects requests to https, but the gateway takes no TLS for their host; null when it does.</summary>
    public Problem? RedirectsNowhere()
    {
        var having = (from gateway in Serving()
                      from server in gateway.Servers
                      where server.Hosts.Any(pattern => Hosts.Covers(Bare(pattern), facts.Target.Host))
                      select (Gateway: gateway, Server: server)).ToList();
        if (having.Find(one => one.Server.Tls is { HttpsRedirect: true }) is not { Gateway: { } owner, Server: { } redirecting }
            || having.Exists(one => one.Server.Tls is { HttpsRedirect: false })) return null;
        return Faults.Of("ISM2053", Named(owner), $"spec.servers[{owner.Servers.ToList().IndexOf(redirecting)}].tls.httpsRedirect",
            $"sends requests to https://{facts.Target.Host}, and no Gateway of these Pods has a server with TLS for this host: clients that follow find "
                + $"nothing, unless a load balancer before the gateway ends TLS{OnceTrusted}",
            $"add a server with protocol HTTPS, port 443, tls.credentialName and host {facts.Target.Host}, or remove httpsRedirect");
    }

    /// <summary>A route redirects requests to https, at a port where the gateway takes no TLS for their host; null when it does, or the redirect leads to
    /// another host.</summary>
    /// <param name="call">The call.</param>
    /// <param name="location">Where the redirect leads.</param>
    /// <param name="owner">The object with the route.</param>
    /// <param name="field">That of the redirect.</param>
    public Problem? LeadsNowhere(TracedCall call, string location, string owner, string field)
    {
        var host = call.Authority.Split(':')[0];
        if (facts.Entry is null || !Uri.TryCreate(location, UriKind.Absolute, out var to) || to.Scheme != Uri.UriSchemeHttps
            || !to.Host.Equals(host, StringComparison.OrdinalIgnoreCase)) return null;
        int[] ports = [to.Port, .. from service in facts.Home.Services
                                   where facts.Home.Behind(service).Contains(facts.ClientPod)
                                   let port = new ServiceInCluster(facts.Home, service).Port(to.Port)
                                   where port is not null
                                   select ServiceInCluster.TargetOf(port, facts.ClientPod)];
        if (Serving().SelectMany(gateway => gateway.Servers).Any(server => server.Tls is { HttpsRedirect: false } && ports.Contains(server.Port)
            && server.Hosts.Any(pattern => Hosts.Covers(Bare(pattern), host)))) return null;
        var (takers, remedy) = ("no Gateway of these Pods has a server with TLS",
            $"a server with protocol HTTPS, port {to.Port}, tls.credentialName and host {host}");
        if (Api is { Apply: true } api)
        {
            if (api.TakesTls(host, ports) is not { Length: > 0 } without) return null;
            (takers, remedy) = (without, $"a listener with protocol HTTPS, port {to.Port}, tls.certificateRefs and hostname {host}");
        }
        return Faults.Of("ISM2053", owner, field,
            $"sends requests to https://{host}{(to.IsDefaultPort ? "" : $":{to.Port}")}, and {takers} for this host at port {to.Port}: clients that follow "
                + $"find nothing, unless a load balancer before the gateway ends TLS{OnceTrusted}",
            $"add {remedy}, or remove the redirect");
    }

    /// <summary>Why a gateway does not get a VirtualService that is bound to it; null when it does.</summary>
    private Problem? Withheld(VirtualService service, IReadOnlyList<(Gateway Gateway, GatewayServer Server)> servers, string host)
    {
        var owner = $"VirtualService {service.Namespace}/{service.Name} in {config.At.Context}";
        var at = facts.Client.Namespace;
        if (!Visibility.Allows(service.ExportTo, service.Namespace, at))
        {
            return Faults.Of("ISM2085", owner, "spec.exportTo",
                $"is exported to {string.Join(", ", service.ExportTo)} only, and the gateway is in namespace {at}: it does not get the routes for {host}, "
                    + "and the response is 404",
                $"add {at} to exportTo, or remove it");
        }
        if (servers.Any(one => service.Hosts.Any(name => Hosts.Admits(one.Gateway, one.Server, name, service.Namespace)))) return null;
        return Faults.Of("ISM2085", Named(servers[0].Gateway), "spec.servers[*].hosts",
            $"has {HostsOf(servers)}, which admits no VirtualServices of namespace {service.Namespace}, where {owner} routes {host}: the response is 404",
            $"write {service.Namespace}/{host}, or move the VirtualService");
    }

    internal static bool IsBound(VirtualService service, Gateway gateway) =>
        service.Gateways.Contains(gateway.FullName) || (service.Namespace == gateway.Namespace && service.Gateways.Contains(gateway.Name));

    /// <summary>Gateways that select the gateway's Pod.</summary>
    private IEnumerable<Gateway> Serving()
    {
        var labels = facts.ClientPod.Metadata.Labels.ToValueMap();
        return config.At.Istio<Gateway>().Where(gateway => Selectors.Matches(gateway.Selector, labels)).OrderBy(gateway => gateway.CreatedAt);
    }

    private IEnumerable<(Gateway Gateway, GatewayServer Server)> Opening(int port, int target) =>
        from gateway in Serving()
        from server in gateway.Servers
        where server.Port == port || server.Port == target
        select (gateway, server);

    private IEnumerable<(Gateway Gateway, GatewayServer Server)> Having(TracedCall call, string host) =>
        Opening(call.Port, call.Destination.Port).Where(one => one.Server.Hosts.Any(pattern => Hosts.Covers(Bare(pattern), host)));

    private static string HostsOf(IEnumerable<(Gateway Gateway, GatewayServer Server)> servers) =>
        string.Join(", ", servers.SelectMany(server => server.Server.Hosts).Distinct());

    internal static string Bare(string host) => host[(host.IndexOf('/', StringComparison.Ordinal) + 1)..];

    private string Named(Gateway gateway) => $"Gateway {gateway.FullName} in {config.At.Context}";
}
