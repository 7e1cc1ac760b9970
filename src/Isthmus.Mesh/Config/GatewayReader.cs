using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

internal static class GatewayReader
{
    public static Gateway Read(ObjectRef source, Field spec, long createdAt)
    {
        var servers = spec["servers"].Items.Select(ReadServer).ToValueList();
        if (servers.IsEmpty) spec["servers"].Error("gateway must have at least one server");
        var names = new HashSet<string>();
        foreach (var server in spec["servers"].Items)
        {
            var name = server["port"]["name"];
            if (name.Text.Length > 0 && !names.Add(name.Text)) name.Error($"port names in servers must be unique: duplicate name {name.Text}");
        }
        return new(source, HostNames.ReadMatchedLabels(spec["selector"]), servers, createdAt);
    }

    private static GatewayServer ReadServer(Field server)
    {
        var port = server["port"];
        if (!port.Exists) port.Error("port is required");
        var protocol = Protocols.Parse(port["protocol"].Text);
        if (protocol is null or Protocol.Udp)
        {
            port["protocol"]
                .Error(
                    $"invalid protocol \"{port["protocol"].Text}\", supported protocols are HTTP, HTTP2, GRPC, GRPC-WEB, MONGO, REDIS, MYSQL, TCP, TLS, HTTPS");
        }
        CheckPortNumber(port["number"]);
        if (port["name"].Text.Length == 0) port["name"].Error("port name must be set");
        var hosts = server["hosts"].Texts;
        if (hosts.IsEmpty) server["hosts"].Error("server config must contain at least one host", "use \"*\" for every host");
        foreach (var host in server["hosts"].Items) CheckHost(host);
        var tls = server["tls"].Exists ? ServerTlsReader.Read(server["tls"]) : null;
        var known = protocol ?? Protocol.Tcp;
        if (known.IsTls() && tls?.Mode is not ServerTlsMode.AutoPassthrough)
            foreach (var host in server["hosts"].Items) HostNames.CheckServerName(host, host.Text[(host.Text.IndexOf('/', StringComparison.Ordinal) + 1)..]);
        if (known.IsTls() && tls is null) server["tls"].Error("server must have TLS settings for HTTPS/TLS protocols");
        if (known.IsHttp() && tls is { HttpsRedirect: false }) server["tls"].Error("server cannot have TLS settings for plain text HTTP ports");
        if (known == Protocol.Https && tls?.Mode is ServerTlsMode.AutoPassthrough) server["tls"]["mode"].Error("AUTO_PASSTHROUGH needs protocol TLS");
        return new(port["number"].Int ?? 0, port["name"].Text, known, port["targetPort"].Int ?? 0, ReadBind(server["bind"]), hosts, tls);
    }

    private static Address? ReadBind(Field bind)
    {
        if (bind.Text.Length == 0) return null;
        if (Address.TryParse(bind.Text, out var address)) return address;
        bind.Error($"\"{bind.Text}\" is not an IP address: gateways listen at nothing else",
            "set it to an IP address that the gateway's Pods have, or remove the field: then they listen at all of them");
        return null;
    }

    private static void CheckPortNumber(Field number)
    {
        if ((number.Integer ?? 0) is < 0 or > 65535) number.Error($"port number {number.Integer} must be in the range 1..65535");
    }

    /// <summary>A Gateway's host is <c>host</c> or <c>namespace/host</c>, where the namespace may be <c>*</c> or <c>.</c>.</summary>
    private static void CheckHost(Field host)
    {
        var slash = host.Text.IndexOf('/', StringComparison.Ordinal);
        var ns = slash < 0 ? "*" : host.Text[..slash];
        if (ns is not ("*" or ".") && !HostNames.IsLabel(ns)) host.Error($"namespace \"{ns}\" of host \"{host.Text}\" is invalid");
        HostNames.Check(host, slash < 0 ? host.Text : host.Text[(slash + 1)..], allowIp: true);
    }
}
