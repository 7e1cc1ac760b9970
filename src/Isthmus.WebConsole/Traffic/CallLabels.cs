namespace Isthmus.WebConsole.Traffic;

/// <summary>How requests ended.</summary>
internal enum Outcome
{
    Passed,
    Failed,

    /// <summary>401 or 403: a policy refused them, or the application. The metrics do not tell them apart.</summary>
    Denied,
}

/// <summary>What the labels of Istio's metrics say of a call.</summary>
internal readonly struct CallLabels(IReadOnlyDictionary<string, string> labels)
{
    /// <summary>Who calls which service.</summary>
    public Call Call => new(
        new(Of("source_workload"), Of("source_workload_namespace"), Of("source_cluster")),
        new(Of("destination_service_name"), Of("destination_service_namespace"), Of("destination_cluster")), Of("reporter") == "source",
        Of("request_protocol"));

    public bool HasDestination => Of("destination_service_name").Length > 0;

    /// <summary>A response code of 0 stands for a caller that left; gRPC has a status of its own.</summary>
    public Outcome Outcome =>
        Of("response_code") is ['5', ..] || Of("grpc_response_status") is not ("" or "0")
            ? Outcome.Failed
            : Of("response_code") is "401" or "403"
            ? Outcome.Denied
            : Outcome.Passed;

    /// <summary>The caller's identity; empty when the proxy knows none.</summary>
    public string Identity => Of("source_principal");

    /// <summary>Null: the proxy cannot know.</summary>
    public bool? IsMutualTls => Of("connection_security_policy") switch
    {
        "mutual_tls" => true,
        "none" => false,
        _ => Of("source_principal").Length > 0 && Of("destination_principal").Length > 0 ? true : null,
    };

    /// <summary>The response flags of a failed call. A connection of TCP has no other sign of that.</summary>
    public string Flags =>
        (Outcome == Outcome.Failed || Of("request_protocol") == "tcp") && Of("response_flags") is var flags && flags != "-" ? flags : "";

    private string Of(string label) => labels.GetValueOrDefault(label, "") is var found && found != "unknown" ? found : "";
}
