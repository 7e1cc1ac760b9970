using Isthmus.ControlPlane;
using Isthmus.Graph.Settings;
using Isthmus.Core.Flags;
using Isthmus.Dns;
using Isthmus.Lab;
using Isthmus.Proxy.Programs;
using Xunit;

namespace Isthmus.Tests.Flags;

/// <summary>The command lines of the roles that Pods and the lab start.</summary>
public sealed class RoleFlagsTests
{
    [Fact]
    public void The_proxy_takes_the_flags_that_the_injector_and_istio_write()
    {
        Assert.Equal(new("sidecar", "shop.svc.cluster.local", "debug", "misc:error", "", ""),
            ProxyArguments.Parse(["sidecar", "--domain", "shop.svc.cluster.local", "--proxyLogLevel=debug",
            "--proxyComponentLogLevel=misc:error", "--log_output_level=default:info", "--concurrency", "2", "--stsPort=15463", "--log_as_json"]));
        Assert.Equal(new("router", "", "warning", "", "/xds", "/certs"), ProxyArguments.Parse(["router", "--xds-dir", "/xds", "--cert-dir=/certs"]));
    }

    [Theory]
    [InlineData("", "isthmus proxy: the role is missing (write 'isthmus proxy sidecar' or 'isthmus proxy router')")]
    [InlineData("gateway", "isthmus proxy: invalid role 'gateway' (expected sidecar or router)")]
    [InlineData("sidecar router", "isthmus proxy: unexpected argument 'router'")]
    [InlineData("sidecar --domian x", "isthmus proxy: unknown flag --domian (did you mean --domain?)")]
    [InlineData("sidecar --proxyLogLevel=loud",
        "isthmus proxy: --proxyLogLevel: invalid value 'loud' (expected trace, debug, info, warning, error, critical or off)")]
    [InlineData("sidecar --domain", "isthmus proxy: flag --domain needs a value (write --domain DOMAIN)")]
    public void The_proxy_names_a_mistake(string line, string message) =>
        Assert.Equal(message, Assert.Throws<WrongUseException>(() => ProxyArguments.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries))).Message);

    [Fact]
    public void Discovery_takes_the_flags_of_istiod()
    {
        var settings = DiscoverySettings.Read(["--monitoringAddr=127.0.0.1:9999", "--log_output_level=default:info", "--domain", "mesh.example",
            "--keepaliveMaxServerConnectionAge", "30m"],
            _ => null);
        Assert.Equal(("mesh.example", 9999), (settings.DomainSuffix, settings.MonitoringPort));
        Assert.Equal(new DiscoverySettings { ExternalIstiod = null }, DiscoverySettings.Read([], _ => null));
        Assert.Equal(1234, DiscoverySettings.Read(["--monitoringAddr", ":1234"], _ => null).MonitoringPort);
    }

    [Theory]
    [InlineData("--monitoringAddr=all", "isthmus discovery: --monitoringAddr: invalid value 'all' (expected an address and a port, for example :15014)")]
    [InlineData("--monitorAddr=:1", "isthmus discovery: unknown flag --monitorAddr (did you mean --monitoringAddr?)")]
    public void Discovery_names_a_mistake(string line, string message) =>
        Assert.Equal(message, Assert.Throws<WrongUseException>(() => DiscoverySettings.Read([line], _ => null)).Message);

    [Theory]
    [InlineData("wait --url", "isthmus wait: flag --url needs a value (write --url URL)")]
    [InlineData("wait --timeoutSeconds=soon", "isthmus wait: --timeoutSeconds: invalid value 'soon' (expected a positive whole number)")]
    [InlineData("istio-iptables -p x", "isthmus istio-iptables: -p: invalid value 'x' (expected a port number from 1 to 65535)")]
    [InlineData("dns -dns.port=x", "isthmus dns: -dns.port: invalid value 'x' (expected a port number from 0 to 65535)")]
    [InlineData("dns --config f", "isthmus dns: unknown flag --config (did you mean -conf?)")]
    [InlineData("coredns-plugin --listen x", "isthmus coredns-plugin: --listen: invalid value 'x' (expected ADDRESS:PORT)")]
    [InlineData("lab-node --cluster a", "isthmus lab-node: --dir DIR is required")]
    [InlineData("lab-apiserver --dir /", "isthmus lab-apiserver: --cluster NAME is required")]
    [InlineData("lab-apiserver --cluster a --dir /nowhere", "isthmus lab-apiserver: --dir: the directory /nowhere does not exist")]
    [InlineData("lab-apiserver --address here", "isthmus lab-apiserver: --address: invalid value 'here' (expected an IP address)")]
    [InlineData("lab-supervisor --home /h --listen-fd 3 --mode other", "isthmus lab-supervisor: --mode: invalid value 'other' (expected root, mapped, single)")]
    [InlineData("request GET", "isthmus request: a method and a path are required (for example: pilot-agent request GET /config_dump)")]
    [InlineData("sample helloworld --prot=1", "helloworld: unknown flag --prot (did you mean --port?)")]
    [InlineData("sample httpbin --bind nowhere", "httpbin: --bind: invalid value 'nowhere' (expected ADDRESS:PORT, for example 0.0.0.0:8080)")]
    [InlineData("sample nslookup -type=z name", "nslookup: -type: invalid value 'z' (expected for example a, aaaa, cname, mx, ns, ptr, soa, srv or txt)")]
    [InlineData("sample nslookup", "nslookup: the name is missing (usage: nslookup [-type=TYPE] NAME [SERVER])")]
    public async Task A_role_ends_with_code_2_and_one_line(string line, string message)
    {
        var error = Console.Error;
        await using var said = new StringWriter();
        Console.SetError(said);
        try
        {
            Assert.Equal(2, await CommandLine.RunAsync(line.Split(' ')));
        }
        finally
        {
            Console.SetError(error);
        }
        Assert.Contains(message + Environment.NewLine, said.ToString(), StringComparison.Ordinal);
    }
}
