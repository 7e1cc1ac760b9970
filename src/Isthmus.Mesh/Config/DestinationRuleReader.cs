using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Time;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

internal static class DestinationRuleReader
{
    /// <summary>Few networks make every connection in less.</summary>
    private static readonly TimeSpan ShortConnect = TimeSpan.FromMilliseconds(10);

    public static DestinationRule Read(ObjectRef source, Field spec, long createdAt)
    {
        HostNames.Check(spec["host"], spec["host"].Text);
        return new(
            source,
            VirtualServiceReader.Qualify(spec["host"].Text, source.Namespace),
            ReadPolicy(spec["trafficPolicy"]) ?? TrafficPolicy.None,
            spec["subsets"].Items.Select(ReadSubset).ToValueList(),
            HostNames.ReadExportTo(spec["exportTo"]),
            HostNames.ReadMatchedLabels(spec["workloadSelector"]["matchLabels"]),
            createdAt);
    }

    private static Subset ReadSubset(Field subset)
    {
        var name = subset["name"].Text;
        if (!HostNames.IsLabel(name)) subset["name"].Error(name.Length == 0 ? "subset name cannot be empty" : $"subset name is invalid: {name}");
        return new(name, HostNames.ReadLabels(subset["labels"]), ReadPolicy(subset["trafficPolicy"]));
    }

    private static TrafficPolicy? ReadPolicy(Field policy)
    {
        if (!policy.Exists) return null;
        var ports = new List<PortPolicy>();
        foreach (var port in policy["portLevelSettings"].Items)
        {
            var number = port["port"]["number"];
            if (number.Integer is not (>= 1 and <= 65535)) number.Error($"port number {number.Integer ?? 0} must be in the range 1..65535");
            ports.Add(new(number.Int ?? 0, ReadOne(port, default)));
        }
        return ReadOne(policy, ports.ToValueList());
    }

    private static TrafficPolicy ReadOne(Field policy, ValueList<PortPolicy> ports) => new(
        policy["loadBalancer"].Exists ? ReadBalancing(policy["loadBalancer"]) : null,
        policy["connectionPool"].Exists ? ReadPool(policy["connectionPool"]) : null,
        policy["outlierDetection"].Exists ? ReadOutlier(policy["outlierDetection"]) : null,
        policy["tls"].Exists ? ReadTls(policy["tls"]) : null,
        ports)
    {
        RetryBudget = policy["retryBudget"].Exists ? ReadBudget(policy["retryBudget"]) : null,
        ProxyProtocol = policy["proxyProtocol"].Exists
            ? policy["proxyProtocol"]["version"].Text == "V2" ? ProxyProtocolVersion.V2 : ProxyProtocolVersion.V1
            : null,
        Tunnel = policy["tunnel"].Exists ? ReadTunnel(policy) : null,
        IsBlocked = policy["tunnel"].CloseIfWrong() | policy["tls"]["caCrl"].CloseIfWrong(),
    };

    /// <summary>What MeshConfig says for all hosts.</summary>
    public static TrafficPolicy ReadDefault(Field policy) => TrafficPolicy.None with
    {
        Pool = policy["connectionPool"].Exists ? ReadPool(policy["connectionPool"]) : null,
        Outlier = policy["outlierDetection"].Exists ? ReadOutlier(policy["outlierDetection"]) : null,
    };

    private static TunnelEnd ReadTunnel(Field policy)
    {
        var tunnel = policy["tunnel"];
        var (host, port, protocol) = (tunnel["targetHost"], tunnel["targetPort"], tunnel["protocol"]);
        if (policy["proxyProtocol"].Exists) tunnel.Error("tunnel and proxyProtocol must not be set together", "remove one of them");
        if (protocol.Text is not ("" or "CONNECT" or "POST")) protocol.Error($"\"{protocol.Text}\" is not a way to ask for a tunnel", "use CONNECT or POST");
        if (host.Text.Length == 0) host.Error("a tunnel needs the host at its end", "set it to a host name or an IP address");
        else HostNames.Check(host, host.Text, allowWildcard: false, allowIp: true);
        if (port.Integer is not (>= 1 and <= 65535)) port.Error($"port number {port.Integer ?? 0} must be in the range 1..65535");
        return new(host.Text, port.Int ?? 0, protocol.Text == "POST");
    }

    private static LoadBalancing ReadBalancing(Field lb)
    {
        LbAlgorithm? algorithm = lb["simple"].Text switch
        {
            "ROUND_ROBIN" => LbAlgorithm.RoundRobin,
            "RANDOM" => LbAlgorithm.Random,
            "PASSTHROUGH" => LbAlgorithm.Passthrough,
            "LEAST_CONN" or "LEAST_REQUEST" => LbAlgorithm.LeastRequest,
            _ => null,
        };
        var hash = lb["consistentHash"].Exists ? ReadHash(lb["consistentHash"]) : null;
        var warmup = ReadWarmup(lb);
        if (warmup is not null && (hash is not null || algorithm is LbAlgorithm.Random or LbAlgorithm.Passthrough))
            (lb["warmup"].Exists ? lb["warmup"] : lb["warmupDurationSecs"])
                .Idle("only ROUND_ROBIN and LEAST_REQUEST warm hosts up", "remove the field, or use one of these");
        if (lb["localityLbSetting"].Exists && lb["zoneAwareLbSetting"].Exists) lb.Error("only one of localityLbSetting and zoneAwareLbSetting can be set");
        if (lb["simple"].Exists && hash is not null) lb.Error("only one of simple and consistentHash may be set");
        return new(
            hash is null ? algorithm : LbAlgorithm.Hash, hash,
            ReadLocalities(lb),
            warmup);
    }

    private static Warmup? ReadWarmup(Field lb)
    {
        var (warmup, old) = (lb["warmup"], lb["warmupDurationSecs"]);
        if (!warmup.Exists) return old.Duration(Durations.OneMillisecond) is { } given ? new(given, null, null) : null;
        if (warmup["minimumPercent"].Number is < 0 or > 100)
            warmup["minimumPercent"].Error($"percentage {warmup["minimumPercent"].Number} is not in range 0..100");
        if (warmup["aggression"].Number is < 1) warmup["aggression"].Error("aggression must be at least 1");
        if (warmup["duration"].Duration(Durations.OneMillisecond) is { } duration)
            return new(duration, warmup["minimumPercent"].Number, warmup["aggression"].Number);
        if (!warmup["duration"].Exists) warmup["duration"].Error("duration is required");
        return null;
    }

    private static RetryBudget ReadBudget(Field budget)
    {
        if (budget["percent"].Number is < 0 or > 100) budget["percent"].Error($"percentage {budget["percent"].Number} is not in range 0..100");
        return new(budget["percent"].Number ?? 20, budget["minRetryConcurrency"].UInt ?? 3) { Interval = budget["budgetInterval"].Duration() };
    }

    private static HashPolicy? ReadHash(Field hash)
    {
        AtMostOne(hash, "httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName");
        AtMostOne(hash, "minimumRingSize", "ringHash", "maglev");
        var ring = (ulong)Math.Max(0, ReadRingSize(hash["minimumRingSize"]) ?? ReadRingSize(hash["ringHash"]["minimumRingSize"]) ?? 0);
        var maglev = hash["maglev"].Exists ? ReadTableSize(hash["maglev"]["tableSize"]) : 0;
        if (hash["httpHeaderName"].Text is { Length: > 0 } header) return new(HashKey.Header, header, "", null, ring, maglev);
        if (hash["httpCookie"] is { Exists: true } cookie)
        {
            if (cookie["name"].Text.Length == 0) cookie["name"].Error("name required for HttpCookie");
            HeadTexts.CheckCookie(cookie["name"], cookie["path"]);
            foreach (var attribute in cookie["attributes"].Items)
            {
                if (attribute["name"].Text.Length == 0) attribute["name"].Error("an attribute of a cookie needs a name");
                if (attribute["name"].Text.AsSpan().IndexOfAny(";=\r\n") >= 0)
                    attribute["name"].Error($"\"{attribute["name"].Text}\" is not a valid name of a cookie's attribute");
                if (attribute["value"].Text.AsSpan().IndexOfAny(";\r\n") >= 0)
                    attribute["value"].Error($"\"{attribute["value"].Text}\" is not a valid value of a cookie's attribute");
            }
            return new(HashKey.Cookie, cookie["name"].Text, cookie["path"].Text, cookie["ttl"].Duration(), ring, maglev)
            {
                CookieAttributes = cookie["attributes"].Items.Select(attribute => (attribute["name"].Text, attribute["value"].Text)).ToValueList(),
            };
        }
        if (hash["httpQueryParameterName"].Text is { Length: > 0 } parameter) return new(HashKey.QueryParameter, parameter, "", null, ring, maglev);
        return hash["useSourceIp"].Flag == true ? new(HashKey.SourceIp, "", "", null, ring, maglev) : null;
    }

    private static long? ReadRingSize(Field size)
    {
        if (size.Integer is < 0 or > 8 * 1024 * 1024) size.Error($"ring size {size.Integer} is not in range 0..8388608");
        return size.Integer;
    }

    private static ulong ReadTableSize(Field size)
    {
        var value = size.Integer ?? 0;
        if (value == 0) return 65537;
        if (value is < 2 or > 5_000_011 || Enumerable.Range(2, (int)Math.Sqrt(value) - 1).Any(factor => value % factor == 0))
        {
            size.Error($"table size {value} is not a prime number of at most 5000011", "proxies fill a Maglev table only if its size is prime, such as 65537");
            return 65537;
        }
        return (ulong)value;
    }

    private static void AtMostOne(Field owner, params ReadOnlySpan<string> names)
    {
        var count = 0;
        foreach (var name in names) count += owner[name].Exists ? 1 : 0;
        if (count > 1) owner.Error($"only one of {string.Join(", ", names)} may be set");
    }

    /// <summary>Either of the two settings; that of zones wins, as in Istio.</summary>
    public static LocalityLbSetting? ReadLocalities(Field owner)
    {
        var locality = owner["localityLbSetting"].Exists ? ReadLocality(owner["localityLbSetting"]) : null;
        return owner["zoneAwareLbSetting"].Exists ? ReadZones(owner["zoneAwareLbSetting"]) : locality;
    }

    private static LocalityLbSetting ReadZones(Field zones)
    {
        foreach (var label in zones["failoverPriority"].Items)
        {
            if (label.Text.Split('=')[0] is Labels.Region or Labels.Zone or Labels.Subzone)
                label.Error($"zone aware lb must not use topology label \"{label.Text}\"",
                    "remove it: proxies keep to their region, and spread requests over its zones, themselves");
        }
        foreach (var end in zones["failover"].Items.SelectMany(rule => (Field[])[rule["from"], rule["to"]]))
        {
            if (end.Text.Contains('*', StringComparison.Ordinal)) end.Error("zone aware lb failover region should not contain '*' wildcard");
        }
        if (zones["minClusterSize"].Integer is 0) zones["minClusterSize"].Error("minClusterSize must be at least 1");
        return new(zones["enabled"].Flag ?? true, default, ReadFailover(zones["failover"]),
            zones["failoverPriority"].Texts) { Zones = new(zones["minClusterSize"].UInt) };
    }

    private static ValueList<RegionFailover> ReadFailover(Field rules)
    {
        var failover = new List<RegionFailover>();
        foreach (var rule in rules.Items)
        {
            var (from, to) = (rule["from"].Text, rule["to"].Text);
            if (from.Length == 0 || to.Length == 0 || from.Contains('/', StringComparison.Ordinal) || to.Contains('/', StringComparison.Ordinal))
                rule.Error("locality lb failover only specify region");
            else if (from == to) rule.Error("locality lb failover settings must specify different regions");
            failover.Add(new(from, to));
        }
        return failover.ToValueList();
    }

    private static LocalityLbSetting ReadLocality(Field locality)
    {
        var distribute = new List<LocalityDistribution>();
        foreach (var from in locality["distribute"].Items)
        {
            var total = from["to"].Members.Sum(member => member.Value.Integer ?? 0);
            if (total != 100) from["to"].Error($"total locality weight {total} != 100");
            distribute.Add(new(from["from"].Text, from["to"].Members.Select(member => KeyValuePair.Create(member.Key, member.Value.UInt ?? 0)).ToValueMap()));
        }
        var (failover, priority) = (ReadFailover(locality["failover"]), locality["failoverPriority"].Texts);
        // Istio rejects the two together. Here they are valid: shares come first, and failover takes what they cannot carry.
        return new(locality["enabled"].Flag ?? true, distribute.ToValueList(), failover, priority);
    }

    internal static TcpKeepalive ReadKeepalive(Field keepalive) =>
        new(keepalive["probes"].UInt, keepalive["time"].Duration(), keepalive["interval"].Duration());

    internal static ConnectionPool ReadPool(Field pool)
    {
        var (tcp, http) = (pool["tcp"], pool["http"]);
        if (!tcp.Exists && !http.Exists) pool.Error("connection pool must have at least one field");
        NotNegative(http["http1MaxPendingRequests"], "http1 max pending requests");
        NotNegative(http["http2MaxRequests"], "http2 max requests");
        NotNegative(http["maxRequestsPerConnection"], "max requests per connection");
        NotNegative(http["maxRetries"], "max retries");
        NotNegative(http["maxConcurrentStreams"], "max concurrent streams");
        NotNegative(tcp["maxConnections"], "max connections");
        var (keepalive, connectTimeout) = (tcp["tcpKeepalive"], tcp["connectTimeout"].Duration(Durations.OneMillisecond));
        if (connectTimeout < ShortConnect)
            tcp["connectTimeout"].Warn("connections to other Nodes, zones and clusters often take longer: such calls fail with 503 (UF)",
                "write 1s or more, or remove it (10s counts then)");
        return new(
            tcp["maxConnections"].Int, connectTimeout,
            keepalive.Exists ? ReadKeepalive(keepalive) : null,
            http["http1MaxPendingRequests"].Int, http["http2MaxRequests"].Int, http["maxRequestsPerConnection"].Int, http["maxRetries"].Int,
            http["idleTimeout"].Duration(),
            http["h2UpgradePolicy"].Text switch { "UPGRADE" => true, "DO_NOT_UPGRADE" => false, _ => null },
            http["useClientProtocol"].Flag ?? false)
        {
            MaxConnectionDuration = tcp["maxConnectionDuration"].Duration(Durations.OneMillisecond),
            TcpIdleTimeout = tcp["idleTimeout"].Duration(),
            MaxConcurrentStreams = http["maxConcurrentStreams"].Int,
            Pings = http["http2KeepAlive"].Exists ? ReadPings(http["http2KeepAlive"]) : null,
        };
    }

    private static Http2Pings? ReadPings(Field pings)
    {
        foreach (var name in (string[])["interval", "timeout"])
        {
            if (!pings[name].Exists) pings[name].Error($"http2 keepalive {name} is required");
        }
        return pings["interval"].Duration(Durations.OneMillisecond) is { } interval && pings["timeout"].Duration(Durations.OneMillisecond) is { } timeout
            ? new(interval, timeout)
            : null;
    }

    private static void NotNegative(Field field, string name)
    {
        if (field.Integer is < 0) field.Error($"{name} must be non-negative");
    }

    private static OutlierPolicy ReadOutlier(Field outlier)
    {
        foreach (var name in (string[])["maxEjectionPercent", "minHealthPercent"])
        {
            if (outlier[name].Integer is < 0 or > 100) outlier[name].Error($"percentage {outlier[name].Integer} is not in range 0..100");
        }
        var split = outlier["splitExternalLocalOriginErrors"].Flag ?? false;
        if (!split && outlier["consecutiveLocalOriginFailures"].Integer is > 0)
        {
            outlier["consecutiveLocalOriginFailures"]
                .Error("outlier detection consecutive local origin failures is specified, but split external local origin errors is not enabled");
        }
        return new(
            outlier["consecutive5xxErrors"].UInt ?? outlier["consecutiveErrors"].UInt, outlier["consecutiveGatewayErrors"].UInt,
            outlier["consecutiveLocalOriginFailures"].UInt, split,
            outlier["interval"].Duration(Durations.OneMillisecond), outlier["baseEjectionTime"].Duration(Durations.OneMillisecond),
            outlier["maxEjectionPercent"].UInt is > 0 and var percent ? percent : null, outlier["minHealthPercent"].UInt ?? 0);
    }

    private static ClientTls ReadTls(Field tls)
    {
        var mode = tls["mode"].Text switch
        {
            "SIMPLE" => ClientTlsMode.Simple,
            "MUTUAL" => ClientTlsMode.Mutual,
            "ISTIO_MUTUAL" => ClientTlsMode.IstioMutual,
            _ => ClientTlsMode.Disable
        };
        var read = new ClientTls(
            mode, tls["clientCertificate"].Text, tls["privateKey"].Text, tls["caCertificates"].Text, tls["credentialName"].Text,
            tls["subjectAltNames"].Texts, tls["sni"].Text, tls["insecureSkipVerify"].Flag ?? false);
        ServerTlsReader.RefuseRevocations(tls["caCrl"]);
        if (mode is not (ClientTlsMode.Simple or ClientTlsMode.Mutual)) return read;
        if (read.InsecureSkipVerify)
            tls["insecureSkipVerify"]
                .Warn("the server's certificate is not verified: anyone on the way can read and change the traffic",
                    "remove insecureSkipVerify, and set caCertificates if the server's CA is private");
        if (read.CredentialName.Length > 0)
        {
            if (read.ClientCertificate.Length + read.PrivateKey.Length + read.CaCertificates.Length > 0)
                tls["credentialName"]
                    .Error("cannot specify client certificates or CA certificate if credentialName is set", "use either the Secret or the files");
            else tls["credentialName"]
                .Warn("only gateways in the namespace of the Secret read it: connections of other proxies to this host fail",
                    "for sidecars, mount files and set caCertificates, clientCertificate and privateKey");
        }
        if (mode == ClientTlsMode.Mutual && read.CredentialName.Length == 0)
        {
            if (read.ClientCertificate.Length == 0) tls["clientCertificate"].Error("client certificate required for mutual tls");
            if (read.PrivateKey.Length == 0) tls["privateKey"].Error("private key required for mutual tls");
        }
        return read;
    }
}
