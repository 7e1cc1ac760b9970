using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Tables;
using Isthmus.Lab.ApiServer.Writes;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>The list of built-in kinds, in the order in which discovery shows their groups.</summary>
public static class BuiltInKinds
{
    // group/version plural Kind scope(N|C) singular shortNames(,|-) options:
    //   all/api-extensions categories, status and scale subresources, generation, put (creates), object (answer of DELETE),
    //   fields=a,b labels for field selectors, verbs=…, sub=name:verb+verb.
    // A backslash at the end of a line: the row goes on in the next one.
    private const string Table = """
        v1 configmaps ConfigMap N configmap cm
        v1 endpoints Endpoints N endpoints ep put
        v1 events Event N event ev put fields=involvedObject.kind,involvedObject.namespace,involvedObject.name,\
        involvedObject.uid,involvedObject.apiVersion,involvedObject.resourceVersion,involvedObject.fieldPath,reason,reportingComponent,source,type
        v1 limitranges LimitRange N limitrange limits put
        v1 namespaces Namespace C namespace ns status object fields=status.phase verbs=create,delete,get,list,patch,update,watch sub=finalize:update
        v1 nodes Node C node no status fields=spec.unschedulable
        v1 persistentvolumeclaims PersistentVolumeClaim N persistentvolumeclaim pvc status object
        v1 persistentvolumes PersistentVolume C persistentvolume pv status object
        v1 pods Pod N pod po all status object fields=spec.nodeName,spec.restartPolicy,spec.schedulerName,spec.serviceAccountName,\
        spec.hostNetwork,status.phase,status.podIP,status.podIPs,status.nominatedNodeName sub=ephemeralcontainers:get+patch+update
        v1 podtemplates PodTemplate N podtemplate - object
        v1 replicationcontrollers ReplicationController N replicationcontroller rc all status scale generation fields=status.replicas
        v1 resourcequotas ResourceQuota N resourcequota quota status object
        v1 secrets Secret N secret - fields=type
        v1 serviceaccounts ServiceAccount N serviceaccount sa object
        v1 services Service N service svc all status put object fields=spec.clusterIP,spec.type
        apiregistration.k8s.io/v1 apiservices APIService C apiservice - api-extensions status
        apps/v1 controllerrevisions ControllerRevision N controllerrevision -
        apps/v1 daemonsets DaemonSet N daemonset ds all status generation
        apps/v1 deployments Deployment N deployment deploy all status scale generation
        apps/v1 replicasets ReplicaSet N replicaset rs all status scale generation fields=status.replicas
        apps/v1 statefulsets StatefulSet N statefulset sts all status scale generation
        events.k8s.io/v1 events Event N event ev put store=v1 fields=regarding.kind,regarding.namespace,regarding.name,regarding.uid,reason,reportingController,type
        autoscaling/v2 horizontalpodautoscalers HorizontalPodAutoscaler N horizontalpodautoscaler hpa all status
        autoscaling/v1 horizontalpodautoscalers HorizontalPodAutoscaler N horizontalpodautoscaler hpa all status store=autoscaling/v2
        batch/v1 cronjobs CronJob N cronjob cj all status generation
        batch/v1 jobs Job N job - all status generation fields=status.successful
        certificates.k8s.io/v1 certificatesigningrequests CertificateSigningRequest C certificatesigningrequest csr status fields=spec.signerName sub=approval:get+patch+update
        certificates.k8s.io/v1beta1 clustertrustbundles ClusterTrustBundle C clustertrustbundle - fields=spec.signerName
        networking.k8s.io/v1 ingressclasses IngressClass C ingressclass - generation
        networking.k8s.io/v1 ingresses Ingress N ingress ing status generation
        networking.k8s.io/v1 networkpolicies NetworkPolicy N networkpolicy netpol generation
        policy/v1 poddisruptionbudgets PodDisruptionBudget N poddisruptionbudget pdb status generation
        rbac.authorization.k8s.io/v1 clusterrolebindings ClusterRoleBinding C clusterrolebinding - put
        rbac.authorization.k8s.io/v1 clusterroles ClusterRole C clusterrole - put
        rbac.authorization.k8s.io/v1 rolebindings RoleBinding N rolebinding - put
        rbac.authorization.k8s.io/v1 roles Role N role - put
        storage.k8s.io/v1 csidrivers CSIDriver C csidriver -
        storage.k8s.io/v1 csinodes CSINode C csinode -
        storage.k8s.io/v1 csistoragecapacities CSIStorageCapacity N csistoragecapacity -
        storage.k8s.io/v1 storageclasses StorageClass C storageclass sc
        storage.k8s.io/v1 volumeattachments VolumeAttachment C volumeattachment - status
        admissionregistration.k8s.io/v1 mutatingwebhookconfigurations MutatingWebhookConfiguration C mutatingwebhookconfiguration - api-extensions generation
        admissionregistration.k8s.io/v1 validatingadmissionpolicies ValidatingAdmissionPolicy C validatingadmissionpolicy - api-extensions status generation
        admissionregistration.k8s.io/v1 validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding C validatingadmissionpolicybinding - api-extensions generation
        admissionregistration.k8s.io/v1 validatingwebhookconfigurations ValidatingWebhookConfiguration C validatingwebhookconfiguration - api-extensions generation
        apiextensions.k8s.io/v1 customresourcedefinitions CustomResourceDefinition C customresourcedefinition crd,crds api-extensions status generation object
        scheduling.k8s.io/v1 priorityclasses PriorityClass C priorityclass pc generation
        coordination.k8s.io/v1 leases Lease N lease - put
        node.k8s.io/v1 runtimeclasses RuntimeClass C runtimeclass -
        discovery.k8s.io/v1 endpointslices EndpointSlice N endpointslice - generation
        flowcontrol.apiserver.k8s.io/v1 flowschemas FlowSchema C flowschema - status
        flowcontrol.apiserver.k8s.io/v1 prioritylevelconfigurations PriorityLevelConfiguration C prioritylevelconfiguration - status
        """;

    private static readonly ScaleFields ReplicasScale = new(".spec.replicas", ".status.replicas", null);

    /// <param name="strategy">The strategy of a kind by group and kind; null for a plain one.</param>
    public static IEnumerable<KindDescriptor> Create(Func<string, string, KindStrategy?> strategy) =>
        Table.Replace("\\\n", "", StringComparison.Ordinal).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(line => Parse(line.Split(' '), strategy));

    private static KindDescriptor Parse(string[] words, Func<string, string, KindStrategy?> strategyOf)
    {
        var gv = GroupVersion.Parse(words[0]);
        var options = words.Skip(6).ToList();
        var kind = words[2];
        var storage = Option(options, "store");
        return new KindDescriptor
        {
            Group = gv.Group,
            Version = gv.Version,
            Plural = words[1],
            Kind = kind,
            ListKind = kind + "List",
            Namespaced = words[3] == "N",
            Singular = words[4],
            ShortNames = words[5] == "-" ? [] : words[5].Split(',').ToValueList(),
            Categories = options.Where(option => option is "all" or "api-extensions").ToValueList(),
            Verbs = Option(options, "verbs") is { } verbs ? verbs.Split(',').ToValueList() : KindDescriptor.AllVerbs,
            Subresources = Subresources(options),
            Storage = new(storage is null ? gv.Group : GroupVersion.Parse(storage).Group, words[1]),
            StorageApiVersion = storage ?? "",
            Schema = BuiltInTypes.Find($"{BuiltInTypes.Package(gv.Group, gv.Version)}.{kind}"),
            Table = BuiltInTables.Find(kind),
            FieldLabels = Option(options, "fields")?.Split(',').ToValueList() ?? [],
            Scale = options.Contains("scale") ? ReplicasScale : null,
            Strategy = strategyOf(gv.Group, kind)
                ?? new PlainStrategy(options.Contains("generation"), options.Contains("put"), options.Contains("object")),
        };
    }

    private static ValueList<SubresourceDescriptor> Subresources(List<string> options)
    {
        var all = new List<SubresourceDescriptor>();
        if (Option(options, "sub") is { } sub) all.Add(new(sub.Split(':')[0], sub.Split(':')[1].Split('+').ToValueList()));
        if (options.Contains("scale")) all.Add(new("scale", SubresourceDescriptor.ReadWrite));
        if (options.Contains("status")) all.Add(new("status", SubresourceDescriptor.ReadWrite));
        return all.ToValueList();
    }

    private static string? Option(List<string> options, string name) =>
        options.FirstOrDefault(option => option.StartsWith(name + "=", StringComparison.Ordinal))?[(name.Length + 1)..];
}
