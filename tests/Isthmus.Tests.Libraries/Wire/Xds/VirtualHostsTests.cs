using System.Security.Cryptography;
using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Wire.Xds;
using Xunit;
using Pair = Isthmus.Tests.Libraries.Wire.Xds.VirtualHostPair;

namespace Isthmus.Tests.Libraries.Wire.Xds;

/// <summary>Virtual hosts go over the wire as resources of their own, to clients that take them.</summary>
public sealed class VirtualHostsTests
{
    private const string R = TypeUrls.Route, V = TypeUrls.VirtualHost;
    private const int Field = RouteConfiguration.VirtualHostsFieldNumber;

    [Fact]
    public void A_table_that_is_split_and_joined_is_the_same_message() => Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
    {
        var random = new Random(seed);
        var table = Table("t", [.. Enumerable.Range(0, random.Next(5)).Select(i => ($"{i}", new string('x', random.Next(300))))]);
        if (random.Next(2) == 0) table.ValidateClusters = false;
        if (random.Next(2) == 0) table.IgnorePortInHostMatching = true;
        var parts = XdsParts.Split(table.ToByteString(), Field);
        Assert.Equal(table.VirtualHosts.Select(host => (host.Name, host.ToByteString())), parts.Items.Select(part => (part.Name, part.Bytes)));
        Assert.Equal(table, RouteConfiguration.Parser.ParseFrom(parts.Join()));
        Assert.Equal(parts, XdsParts.Split(parts.Join(), Field));
    }).MustHold(300);

    [Fact]
    public void Malformed_tables_are_refused()
    {
        var bytes = Table("t", [("a", ""), ("b", "")]).ToByteString();
        for (var length = 1; length < bytes.Length; length++)
        {
            var cut = ByteString.CopyFrom(bytes.Span[..length]);
            var isMessage = true;
            try { RouteConfiguration.Parser.ParseFrom(cut); }
            catch (InvalidProtocolBufferException) { isMessage = false; }
            if (!isMessage) Assert.ThrowsAny<Exception>(() => RouteConfiguration.Parser.ParseFrom(XdsParts.Split(cut, Field).Join()));
        }
        Assert.Throws<InvalidProtocolBufferException>(() => XdsParts.Split(ByteString.CopyFrom(bytes.Span[..^1]), Field));
    }

    [Fact]
    public void A_client_that_takes_hosts_ends_with_what_one_that_takes_none_has() => Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
    {
        var random = new Random(seed);
        List<(string, string)> table = [], other = [];
        var (with, without) = (new Pair(true), new Pair(false));
        for (var step = 0; step < 40; step++)
        {
            foreach (var hosts in (List<(string Name, string Domain)>[])[table, other])
            {
                switch (random.Next(7))
                {
                    case 0 or 1: hosts.Insert(random.Next(hosts.Count + 1), ($"new{step}", "a")); break;
                    case 2 when hosts.Count > 0: hosts.RemoveAt(random.Next(hosts.Count)); break;
                    case 3 when hosts.Count > 0: hosts[random.Next(hosts.Count)] = ($"other{step}", "b"); break;
                    case 4 when hosts.Count > 0:
                        var at = random.Next(hosts.Count);
                        hosts[at] = (hosts[at].Name, random.Next(4) == 0 ? "bad" : $"c{step}");
                        break;
                    case 5 when hosts.Count > 1: (hosts[0], hosts[^1]) = (hosts[^1], hosts[0]); break;
                    default: break;
                }
            }
            // Now and then a table cannot be sent by its hosts, says something else of all of them, or is not there.
            var twice = random.Next(8) == 0 && table.Count > 0 ? table.Append((table[0].Item1, "twice")) : table;
            XdsResource[] tables = [Made("t", twice, isWide: random.Next(4) == 0), Made("u", other)];
            var snapshot = Snapshot(step, random.Next(8) == 0 ? tables[1..] : tables);
            var isNew = random.Next(8) == 0;
            foreach (var pair in (Pair[])[with, without])
            {
                if (isNew) pair.Reconnect();
                // The client is behind for a while: what it says is about what it was sent long ago.
                pair.Offer(snapshot, random.Next(4));
            }
            if (random.Next(3) > 0) continue;
            foreach (var pair in (Pair[])[with, without]) pair.Drain();
            // What comes together with a refused host may have been taken: a whole table would have been refused.
            if (without.RejectedOf(R).Length == 0) Assert.Equal(without.Shown, with.Shown);
        }
        table.RemoveAll(host => host.Item2 == "bad");
        other.RemoveAll(host => host.Item2 == "bad");
        foreach (var pair in (Pair[])[with, without]) pair.Publish(Snapshot(100, Made("t", table), Made("u", other)));
        Assert.Equal(Pair.ShownOf(Table("t", table)), with.Shown["t"]);
        Assert.Equal(Pair.ShownOf(Table("u", other)), with.Shown["u"]);
        Assert.Equal(["", ""], [with.RejectedOf(R), with.RejectedOf(V)]);
    }).MustHold(300);

    [Fact]
    public void One_changed_host_of_a_thousand_is_all_that_is_sent()
    {
        var hosts = Enumerable.Range(0, 1000).Select(i => ($"h{i}", new string('x', 1000))).ToList();
        var (with, without) = (new Pair(true), new Pair(false));
        foreach (var pair in (Pair[])[with, without]) pair.Publish(Snapshot(1, Made("t", hosts)));
        hosts[500] = ("h500", new string('y', 1000));
        hosts[700] = ("new", new string('x', 1000));
        var next = Snapshot(2, Made("t", hosts));
        Assert.InRange(with.Publish(next), 2000, 3000);
        Assert.InRange(without.Publish(next), 1_000_000, 2_000_000);
        Assert.Equal(without.Shown, with.Shown);
        // The rest is the same object as before, so that nobody reads it again.
        Assert.Equal(998, with.Parts["t"].Items.Intersect(with.Earlier["t"].Items, ReferenceEqualityComparer.Instance).Count());
    }

    [Fact]
    public void Hosts_are_named_as_in_Envoy_and_the_table_says_that_they_come_from_discovery()
    {
        var pair = new Pair(true);
        pair.Publish(Snapshot(1, Made("t", [("a", "x"), ("b:80", "x")])));
        var table = Assert.Single(pair.Sent[R]);
        Assert.Equal(ConfigSource.ConfigSourceSpecifierOneofCase.Ads,
            RouteConfiguration.Parser.ParseFrom(table.Resource_.Value).Vhds.ConfigSource.ConfigSourceSpecifierCase);
        Assert.Equal(["t/a", "t/b:80"], pair.Sent[V].Select(host => host.Name));
        Assert.Equal(["t/a", "t/b:80"], pair.Sent[V].Select(host => VirtualHost.Parser.ParseFrom(host.Resource_.Value).Name));
        Assert.Equal(Table("t", [("a", "x"), ("b:80", "x")]), pair.Tables["t"]);
    }

    [Theory]
    [InlineData("a", "a")]
    [InlineData("a", "")]
    [InlineData("a", "a/b")]
    public void Tables_whose_hosts_cannot_be_told_apart_by_name_are_sent_whole(string first, string second)
    {
        var pair = new Pair(true);
        pair.Publish(Snapshot(1, Made("t", [(first, "x"), (second, "y")])));
        Assert.False(pair.Sent.ContainsKey(V));
        Assert.Equal(Table("t", [(first, "x"), (second, "y")]), pair.Tables["t"]);
        pair.Publish(Snapshot(2, Made("t", [(first, "x"), ("other", "y")])));
        Assert.Equal(2, pair.Sent[V].Count);
        Assert.Equal(Table("t", [(first, "x"), ("other", "y")]), pair.Tables["t"]);
    }

    [Fact]
    public void A_client_that_comes_again_gets_what_changed_meanwhile()
    {
        var pair = new Pair(true);
        pair.Publish(Snapshot(1, Made("t", [("a", "x"), ("b", "x"), ("c", "x")])));
        pair.Away(Snapshot(2, Made("t", [("b", "y"), ("c", "x"), ("d", "x")])));
        pair.Sent.Clear();
        pair.Reconnect();
        Assert.Equal(["t/b", "t/d"], pair.Sent[V].Select(host => host.Name));
        Assert.False(pair.Sent.ContainsKey(R));
        Assert.Equal(Pair.ShownOf(Table("t", [("b", "y"), ("c", "x"), ("d", "x")])), pair.Shown["t"]);
        pair.Sent.Clear();
        pair.Reconnect();
        Assert.Empty(pair.Sent);
    }

    [Fact]
    public void A_refused_host_keeps_the_last_good_table_and_is_refused_again_on_the_next_stream()
    {
        var pair = new Pair(true);
        pair.Publish(Snapshot(1, Made("t", [("a", "x"), ("b", "x")])));
        pair.Publish(Snapshot(2, Made("t", [("a", "bad"), ("b", "x")])));
        Assert.Equal(Table("t", [("a", "x"), ("b", "x")]), pair.Tables["t"]);
        Assert.Contains("bad domain", pair.RejectedOf(V), StringComparison.Ordinal);
        pair.Reconnect();
        Assert.Contains("bad domain", pair.RejectedOf(V), StringComparison.Ordinal);
        Assert.Equal(Table("t", [("a", "x"), ("b", "x")]), pair.Tables["t"]);
        // Refused for another host, and both become good.
        pair.Publish(Snapshot(3, Made("t", [("a", "bad"), ("b", "bad")])));
        pair.Publish(Snapshot(4, Made("t", [("a", "y"), ("b", "y")])));
        Assert.Equal("", pair.RejectedOf(V));
        Assert.Equal(Table("t", [("a", "y"), ("b", "y")]), pair.Tables["t"]);
    }

    [Fact]
    public void A_table_that_is_accepted_is_accepted_with_its_hosts()
    {
        var pair = new Pair(true);
        pair.Publish(Snapshot(1, Made("t", [("a", "x"), ("b", "x")])));
        pair.RejectsWide = true;
        // The table says something bad of all hosts, and a host changes: both are refused.
        pair.Publish(Snapshot(2, Made("t", [("a", "y"), ("b", "x")], isWide: true)));
        Assert.NotEqual("", pair.RejectedOf(R));
        Assert.NotEqual("", pair.RejectedOf(V));
        pair.Publish(Snapshot(3, Made("t", [("a", "y"), ("b", "x")])));
        Assert.Equal(["", ""], [pair.RejectedOf(R), pair.RejectedOf(V)]);
        Assert.Equal(Table("t", [("a", "y"), ("b", "x")]), pair.Tables["t"]);
    }

    [Fact]
    public void Hosts_from_elsewhere_are_refused()
    {
        var pair = new Pair(true);
        var table = new RouteConfiguration { Name = "t", Vhds = new() { ConfigSource = new() { ApiConfigSource = new() } } };
        var answers = pair.Receive(Sent(R, "t", R, table.ToByteString()));
        Assert.Contains("virtual hosts can come from ads only", answers[0].ErrorDetail.Message, StringComparison.Ordinal);
        table = new RouteConfiguration { Name = "t", Vhds = new() { ConfigSource = new() { Ads = new() } }, VirtualHosts = { new VirtualHost { Name = "a" } } };
        answers = pair.Receive(Sent(R, "t", R, table.ToByteString()));
        Assert.Contains("a table with virtual hosts of its own cannot have others", answers[0].ErrorDetail.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Hosts_that_cannot_be_read_are_refused_and_the_others_taken()
    {
        var pair = new Pair(true);
        pair.Publish(Snapshot(1, Made("t", [("a", "x")])));
        var response = Sent(V, "t/b", V, ByteString.CopyFrom(10, 200));
        response.Resources.Add(new Resource { Name = "t/c", Version = "1", Resource_ = new() { TypeUrl = R } });
        response.Resources.Add(new Resource { Name = "t/d", Version = "1" });
        response.Resources.Add(new Resource { Name = "other/e", Version = "1" });
        response.Resources.Add(new Resource { Name = "t/f", Version = "1", Resource_ = Any.Pack(new VirtualHost { Name = "named otherwise" }) });
        var reasons = pair.Receive(response)[0].ErrorDetail.Message.Split("; ");
        Assert.Equal(["t/b", "t/c", "t/d"], reasons.Select(reason => reason.Split(':')[0]));
        Assert.Equal(["a", "named otherwise"], pair.Tables["t"].VirtualHosts.Select(host => host.Name));
    }

    [Fact]
    public void A_table_that_is_subscribed_to_later_comes_with_its_hosts()
    {
        var stream = new DeltaStream("n", _ => { });
        stream.Update(Snapshot(1, Made("t", [("a", "x")]), Made("u", [("b", "x")])));
        var node = new Node { Id = "n", ClientFeatures = { VirtualHosts.Feature } };
        stream.Receive(new() { Node = node, TypeUrl = R, ResourceNamesSubscribe = { "t" } });
        Assert.Equal(["t/a"], Assert.Single(stream.Receive(new() { TypeUrl = V })).Resources.Select(host => host.Name));
        var answers = stream.Receive(new() { TypeUrl = R, ResourceNamesSubscribe = { "u" } });
        Assert.Equal([(R, "u"), (V, "u/b")], answers.Select(answer => (answer.TypeUrl, Assert.Single(answer.Resources).Name)));
        // A client that lost it gets it again.
        answers = stream.Receive(new() { TypeUrl = R, ResourceNamesSubscribe = { "u" } });
        Assert.Equal([(R, "u"), (V, "u/b")], answers.Select(answer => (answer.TypeUrl, Assert.Single(answer.Resources).Name)));
        stream.Receive(new() { TypeUrl = R, ResponseNonce = answers[0].Nonce, ResourceNamesUnsubscribe = { "u" } });
        stream.Receive(new() { TypeUrl = V, ResponseNonce = answers[1].Nonce });
        answers = stream.Update(Snapshot(2, Made("t", [("a", "y")]), Made("u", [("b", "y")])));
        Assert.Equal([(V, "t/a")], answers.Select(answer => (answer.TypeUrl, Assert.Single(answer.Resources).Name)));
    }

    [Fact]
    public void A_host_that_is_asked_for_by_itself_does_not_exist()
    {
        var stream = new DeltaStream("n", _ => { });
        stream.Update(Snapshot(1, Made("t", [("a", "x")])));
        var node = new Node { Id = "n", ClientFeatures = { VirtualHosts.Feature } };
        stream.Receive(new() { Node = node, TypeUrl = R, ResourceNamesSubscribe = { "t" } });
        stream.Receive(new() { TypeUrl = V });
        // As Envoy does for a request that no host is for: an answer without a body, by its alias, ends the wait.
        var answer = Assert.Single(stream.Receive(new() { TypeUrl = V, ResourceNamesSubscribe = { "t/unknown.example" } }));
        var none = Assert.Single(answer.Resources);
        Assert.Equal(["t/unknown.example"], none.Aliases);
        Assert.Null(none.Resource_);
        // Many are written in pieces.
        var many = stream.Receive(new() { TypeUrl = V, ResourceNamesSubscribe = { "*", Enumerable.Range(0, 500).Select(i => $"t/unknown{i}") } })[0];
        var written = XdsPieces.Of(many).SelectMany(piece => piece.ToArray()).ToArray();
        Assert.Equal(many, DeltaDiscoveryResponse.Parser.ParseFrom(written));
        Assert.Equal(500, many.Resources.Count);
    }

    [Fact]
    public void A_wildcard_subscription_has_the_hosts_of_all_tables()
    {
        var stream = new DeltaStream("n", _ => { });
        stream.Update(Snapshot(1, Made("t", [("a", "x")]), Made("u", [("b", "x")])));
        var node = new Node { Id = "n", ClientFeatures = { VirtualHosts.Feature } };
        var first = Assert.Single(stream.Receive(new() { Node = node, TypeUrl = R, ResourceNamesSubscribe = { "t" } }));
        stream.Receive(new() { TypeUrl = V });
        // The others, when it subscribes to all.
        var answers = stream.Receive(new() { TypeUrl = R, ResponseNonce = first.Nonce, ResourceNamesSubscribe = { "*" } });
        Assert.Equal([(R, "u"), (V, "u/b")], answers.Select(answer => (answer.TypeUrl, Assert.Single(answer.Resources).Name)));
    }

    [Fact]
    public void Hosts_of_a_table_that_was_lost_on_the_way_come_again_as_a_whole()
    {
        var stream = new DeltaStream("n", _ => { });
        XdsResource u = Made("u", [("b", "x")]);
        stream.Update(Snapshot(1, Made("t", [("a", "1"), ("c", "1")]), u));
        var node = new Node { Id = "n", ClientFeatures = { VirtualHosts.Feature } };
        var tables = Assert.Single(stream.Receive(new() { Node = node, TypeUrl = R, ResourceNamesSubscribe = { "t" } }));
        var hosts = Assert.Single(stream.Receive(new() { TypeUrl = V }));
        stream.Receive(new() { TypeUrl = R, ResponseNonce = tables.Nonce });
        // The hosts are not answered yet; the table goes, and comes back.
        Assert.Equal(["t"], Assert.Single(stream.Update(Snapshot(2, u))).RemovedResources);
        Assert.Empty(stream.Update(Snapshot(3, Made("t", [("a", "1"), ("c", "2")]), u)));
        var answers = stream.Receive(new() { TypeUrl = R, ResourceNamesSubscribe = { "u" } });
        Assert.Equal(["t", "u"], answers[0].Resources.Select(table => table.Name).Order());
        Assert.Equal(["t/a", "t/c", "u/b"], answers[1].Resources.Select(host => host.Name).Order());
        Assert.Empty(stream.Receive(new() { TypeUrl = V, ResponseNonce = hosts.Nonce }));
    }

    [Fact]
    public void A_refusal_ends_with_the_subscription_to_its_table()
    {
        var refusals = new Dictionary<string, string>();
        var stream = new DeltaStream("n", happened => refusals[happened.TypeUrl] = happened.Detail);
        stream.Update(Snapshot(1, Made("t", [("a", "x")])));
        var node = new Node { Id = "n", ClientFeatures = { VirtualHosts.Feature } };
        stream.Receive(new() { Node = node, TypeUrl = R, ResourceNamesSubscribe = { "t" } });
        var hosts = Assert.Single(stream.Receive(new() { TypeUrl = V }));
        stream.Receive(new() { TypeUrl = V, ResponseNonce = hosts.Nonce, ErrorDetail = new() { Message = "t: no" } });
        Assert.Equal("t: no", refusals[V]);
        stream.Receive(new() { TypeUrl = R, ResourceNamesUnsubscribe = { "t" } });
        Assert.Equal("", refusals[V]);
    }

    [Fact]
    public void A_refused_table_that_comes_whole_stays_refused()
    {
        var pair = new Pair(true);
        pair.Publish(Snapshot(1, Made("t", [("a", "x"), ("b", "x")])));
        pair.Publish(Snapshot(2, Made("t", [("a", "bad"), ("a", "x")])));
        Assert.Contains("bad domain", pair.RejectedOf(R), StringComparison.Ordinal);
        // What the server reverts while the client is away is what the client has afterwards.
        pair.Away(Snapshot(3, Made("t", [("a", "x"), ("b", "x")])));
        pair.Reconnect();
        pair.Publish(Snapshot(4, Made("t", [("a", "x"), ("b", "y")])));
        Assert.Equal(["", ""], [pair.RejectedOf(R), pair.RejectedOf(V)]);
        Assert.Equal(Pair.ShownOf(Table("t", [("a", "x"), ("b", "y")])), pair.Shown["t"]);
    }

    [Fact]
    public void A_refused_head_that_is_reverted_while_the_client_is_away_is_gone()
    {
        var pair = new Pair(true) { RejectsWide = true };
        pair.Publish(Snapshot(1, Made("t", [("a", "x")])));
        pair.Publish(Snapshot(2, Made("t", [("a", "x")], isWide: true)));
        Assert.NotEqual("", pair.RejectedOf(R));
        pair.Away(Snapshot(3, Made("t", [("a", "x")])));
        pair.Reconnect();
        pair.Publish(Snapshot(4, Made("t", [("a", "y")])));
        Assert.Equal(["", ""], [pair.RejectedOf(R), pair.RejectedOf(V)]);
        Assert.Equal(Table("t", [("a", "y")]), pair.Tables["t"]);
    }

    [Fact]
    public void A_client_with_more_hosts_than_fit_into_a_request_gets_them_again()
    {
        var pair = new Pair(true);
        var hosts = Enumerable.Range(0, 60_000).Select(i => ($"host-{i}.with-a-long-name.example.com:80", "x")).ToList();
        pair.Publish(Snapshot(1, Made("t", hosts), Made("u", [("a", "x")])));
        pair.Sent.Clear();
        Assert.InRange(pair.Reconnect(), 1, 4 << 20);
        Assert.Equal(60_000, pair.Sent[V].Count);
        Assert.Equal(60_000, pair.Tables["t"].VirtualHosts.Count);
    }

    private static DeltaDiscoveryResponse Sent(string type, string name, string body, ByteString bytes) => new()
    {
        TypeUrl = type, Nonce = "x",
        Resources = { new Resource { Name = name, Version = "9", Resource_ = new() { TypeUrl = body, Value = bytes } } },
    };

    private static RouteConfiguration Table(string name, IEnumerable<(string Name, string Domain)> hosts) =>
        new() { Name = name, VirtualHosts = { hosts.Select(host => new VirtualHost { Name = host.Name, Domains = { host.Domain } }) } };

    private static XdsResource Made(string name, IEnumerable<(string, string)> hosts, bool isWide = false)
    {
        var table = Table(name, hosts);
        table.IgnorePortInHostMatching = isWide;
        var bytes = table.ToByteString();
        return new(name, Convert.ToHexString(SHA256.HashData(bytes.Span)), R, XdsParts.Split(bytes, Field).WithResources());
    }

    private static XdsSnapshot Snapshot(int version, params XdsResource[] tables) =>
        new($"{version}", new Dictionary<string, IXdsResources> { [R] = new XdsResourceMap(tables) });
}
