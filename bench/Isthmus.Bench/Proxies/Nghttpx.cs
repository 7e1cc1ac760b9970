namespace Isthmus.Bench.Proxies;

/// <summary>nghttpx, with HTTP/2 by prior knowledge on both sides.</summary>
internal static class Nghttpx
{
    internal static async Task<Contender> StartAsync(ProxyRig rig, Wiring wiring)
    {
        await rig.DescribeAsync("nghttpx", "--version", "1 worker, HTTP/2 to the server, access log");
        var port = rig.NextPort();
        var server = wiring.Server.Replace(':', ',');
        return await rig.StartContenderAsync(new("nghttpx", port, "nghttpx", "--conf=/dev/null", $"--workers={ProxyRig.Workers}", "--single-process",
            $"--frontend=127.0.0.1,{port};no-tls", $"--backend={server};;proto=h2", $"--accesslog-file={rig.File("nghttpx.log")}", "--accesslog-write-early",
            "--errorlog-file=/dev/null",
            "--add-x-forwarded-for",
            "--accesslog-format=[$time_iso8601] \"$method $path $protocol_version\" $status - via_upstream - \"-\" 0 $body_bytes_sent $request_time 0 "
                + "\"$http_x_forwarded_for\" \"$http_user_agent\" \"-\" \"$http_host\" \"$backend_host:$backend_port\" app - 127.0.0.1:$server_port "
                + "$remote_addr:$remote_port - default"));
    }
}
