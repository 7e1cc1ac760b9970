using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Pods;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class PodFilesTests
{
    private const string Machine = "nameserver 9.9.9.9\nsearch example.org\noptions timeout:1\n";

    [Fact]
    public void Cluster_first_asks_the_cluster_with_its_search_domains() =>
        Assert.Equal("search ns.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
            Resolve(new() { DnsPolicy = "ClusterFirst" }));

    [Theory]
    [InlineData("Default", false)]
    [InlineData("ClusterFirst", true)]
    public void The_nodes_own_is_used_by_Default_and_on_the_hosts_network(string policy, bool host) =>
        Assert.Equal("search example.org\nnameserver 9.9.9.9\noptions timeout:1\n", Resolve(new() { DnsPolicy = policy, HostNetwork = host }));

    [Fact]
    public void The_Pods_own_settings_are_added_and_its_options_win()
    {
        var config = new PodDnsConfig
        {
            Nameservers = ["1.1.1.1"], Searches = ["a.b"], Options = [new() { Name = "ndots", Value = "2" }, new() { Name = "edns0" }]
        };
        Assert.Equal("search a.b\nnameserver 1.1.1.1\noptions ndots:2 edns0\n", Resolve(new() { DnsPolicy = "None", DnsConfig = config }));
        Assert.Contains("options ndots:2 edns0\n", Resolve(new() { DnsConfig = config }), StringComparison.Ordinal);
    }

    [Fact]
    public void Hosts_has_the_Pods_name_its_subdomain_and_its_aliases()
    {
        var pod = Pod(new() { Hostname = "web-0", Subdomain = "web", HostAliases = [new() { Ip = "1.2.3.4", Hostnames = ["x", "y"] }] });
        var text = PodFiles.Hosts(pod, "10.244.0.5", "cluster.local");
        Assert.Contains("10.244.0.5\tweb-0.web.ns.svc.cluster.local\tweb-0\n", text, StringComparison.Ordinal);
        Assert.Contains("1.2.3.4\tx\ty\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void An_overriding_host_name_stands_alone()
    {
        var pod = Pod(new() { HostnameOverride = "db.example.org", Hostname = "web-0", Subdomain = "web" });
        Assert.Equal("db.example.org", Name(pod));
        Assert.Contains("10.244.0.5\tdb.example.org\n", PodFiles.Hosts(pod, "10.244.0.5", "cluster.local"), StringComparison.Ordinal);
    }

    [Fact]
    public void The_kernel_shows_the_full_name_where_the_Pod_asks_for_it()
    {
        Assert.Equal("web-0.web.ns.svc.cluster.local", Name(Pod(new() { Hostname = "web-0", Subdomain = "web", SetHostnameAsFQDN = true })));
        Assert.Equal("web-0", Name(Pod(new() { Hostname = "web-0", Subdomain = "web", SetHostnameAsFQDN = false })));
        // Without a subdomain there is no full name.
        Assert.Equal("web-0", Name(Pod(new() { Hostname = "web-0", SetHostnameAsFQDN = true })));
        Assert.Equal("node", Name(Pod(new() { Hostname = "web-0", Subdomain = "web", SetHostnameAsFQDN = true, HostNetwork = true })));
    }

    [Theory]
    [InlineData(41, true)]
    [InlineData(42, false)]
    public void A_full_name_longer_than_the_kernels_is_refused(int length, bool fits)
    {
        // .web.ns.svc.cluster.loc has 23 characters.
        var pod = Pod(new() { Hostname = new string('a', length), Subdomain = "web", SetHostnameAsFQDN = true });
        string name() => PodFiles.HostName(pod, "cluster.loc", "node");
        if (fits) Assert.Equal(64, name().Length);
        else Assert.Contains("is too long (64 characters is the max, 65 characters requested)", Assert.Throws<SandboxException>(name).Message,
            StringComparison.Ordinal);
    }

    private static string Name(Pod pod) => PodFiles.HostName(pod, "cluster.local", "node");

    private static string Resolve(PodSpec spec) => PodFiles.ResolvConf(Pod(spec), "10.96.0.10", "cluster.local", Machine);

    private static Pod Pod(PodSpec spec) => new() { Metadata = new() { Name = "p", Namespace = "ns" }, Spec = spec };
}
