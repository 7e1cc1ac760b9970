namespace Isthmus.Quickstart;

/// <summary>One line of a proxy's access log in Istio's default format, with the peer's URI SAN appended as the quickstart asks for.</summary>
internal sealed record AccessLogLine(
    string Request, string Code, string Flags, string UserAgent, string UpstreamHost, string UpstreamCluster, string UpstreamLocal,
    string DownstreamRemote, string Sni, string Peer)
{
    /// <summary>Appended to the default format: who the caller is, by its certificate.</summary>
    internal const string PeerField = "%DOWNSTREAM_PEER_URI_SAN%";

    /// <summary>Istio's default format (istio/istio, pilot's access log provider), as MeshConfig.accessLogFormat takes it.</summary>
    internal const string Format =
        "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% "
        + "%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% "
        + "%DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" "
        + "\"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% "
        + "%DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME% " + PeerField + "\n";

    private const int Fields = 23;

    /// <summary>Null when the line is not of that format: another program's output, or a line cut off.</summary>
    internal static AccessLogLine? Parse(string line)
    {
        var fields = Split(line);
        return fields.Count != Fields ? null : new(
            fields[1], fields[2], fields[3], fields[12], fields[15], fields[16], fields[17], fields[19], fields[20], fields[22]);
    }

    private static List<string> Split(string line)
    {
        var fields = new List<string>(Fields);
        for (var i = 0; i < line.Length;)
        {
            if (line[i] == ' ')
            {
                i++;
                continue;
            }
            var close = line[i] switch { '"' => '"', '[' => ']', _ => ' ' };
            var start = close == ' ' ? i : i + 1;
            var end = line.IndexOf(close, start);
            if (end < 0) end = line.Length;
            fields.Add(line[start..end]);
            i = end + 1;
        }
        return fields;
    }
}
