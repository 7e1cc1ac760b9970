using System.Globalization;

namespace Isthmus.Bench.Proxies;

/// <summary>haproxy, with one thread. It writes each line of its log at once: it has no buffer for a log in a file.</summary>
internal static class Haproxy
{
    private const string LogFormat =
        "[%T] \"%HM %HU %HV\" %ST %ts via_upstream - \"-\" %U %B %Ta %Tr \"%[capture.req.hdr(0)]\" \"%[capture.req.hdr(1)]\" \"%ID\" "
            + "\"%[capture.req.hdr(2)]\" \"%si:%sp\" app %bi:%bp %fi:%fp %ci:%cp";

    /// <summary>HTTP, with or without TLS.</summary>
    internal static async Task<Contender> StartAsync(ProxyRig rig, Wiring wiring)
    {
        await rig.DescribeAsync("haproxy", "-v", "1 thread, reuses all upstream connections, access log line by line, retries as in the mesh");
        var port = rig.NextPort();
        var protocol = wiring.Http2 ? " proto h2" : "";
        var credentials = rig.Credentials;
        var fromClients = wiring.TlsFromClients
            ? $" ssl crt {credentials.Joined} ca-file {credentials.Root} verify required{(wiring.Tickets ? "" : " no-tls-tickets")}"
            : "";
        var toServer = wiring.TlsToServer
            ? $" ssl crt {credentials.Joined} ca-file {credentials.Root} verify required sni str({Credentials.DnsName}) verifyhost {Credentials.DnsName}"
            : "";
        return await StartAsync(rig, port, string.Create(CultureInfo.InvariantCulture, $$"""
            global
              nbthread {{ProxyRig.Workers}}
              log stdout format raw local0
              {{(wiring.Tickets ? "" : "tune.ssl.cachesize 0")}}
            defaults
              mode http
              log global
              timeout connect 5s
              timeout client 60s
              timeout server 60s
              retries 2
              option redispatch
              option http-keep-alive
              option dontlognull
            frontend http
              bind 127.0.0.1:{{port}}{{fromClients}}{{protocol}}
              unique-id-format %[uuid()]
              unique-id-header x-request-id
              http-request set-header x-forwarded-proto http
              http-request set-header host app unless { req.hdr(host) -m found }
              log-format '{{LogFormat}} {{(wiring.TlsFromClients ? "%[ssl_fc_sni]" : "-")}} default'
              capture request header x-forwarded-for len 64
              capture request header user-agent len 64
              capture request header host len 64
              default_backend app
            backend app
              http-reuse always
              server app {{wiring.Server}}{{toServer}}{{protocol}}

            """));
    }

    /// <summary>Passes TLS through, by the server name that the client asks for.</summary>
    internal static async Task<Contender> StartPassThroughAsync(ProxyRig rig, string server, string serverName)
    {
        await rig.DescribeAsync("haproxy", "-v", "1 thread, option splice-request and splice-response (always), pipes of 256 KiB, access log line by line");
        var port = rig.NextPort();
        return await StartAsync(rig, port, string.Create(CultureInfo.InvariantCulture, $$"""
            global
              nbthread {{ProxyRig.Workers}}
              log stdout format raw local0
              tune.pipesize 262144
              maxpipes 256
            defaults
              mode tcp
              log global
              timeout connect 5s
              timeout client 60s
              timeout server 60s
              option splice-request
              option splice-response
            frontend sni
              bind 127.0.0.1:{{port}}
              tcp-request inspect-delay 5s
              tcp-request content accept if { req.ssl_hello_type 1 }
              log-format '[%T] "- - -" 0 %ts - - "-" %U %B %Tt - "-" "-" "-" "-" "%si:%sp" tls %bi:%bp %fi:%fp %ci:%cp {{serverName}} -'
              use_backend tls if { req.ssl_sni -i {{serverName}} }
            backend tls
              server tls {{server}}

            """));
    }

    private static async Task<Contender> StartAsync(ProxyRig rig, int port, string configuration)
    {
        await File.WriteAllTextAsync(rig.File("haproxy.cfg"), configuration);
        return await rig.StartContenderAsync(new("haproxy", port, "haproxy", "-db", "-f", rig.File("haproxy.cfg")));
    }
}
