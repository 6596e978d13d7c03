import { dialog } from '../state/dialogs.ts';
import { AddCertificates } from './add-certificates.tsx';
import { AddCa, TrustCa } from './ca.tsx';
import { EditCertificate } from './edit-certificate.tsx';
import { Help } from './help.tsx';
import { ReportAll, ReportHost } from './report.tsx';
import { RuleDialog } from './rule.tsx';

export function Dialogs() {
  const state = dialog.value;
  switch (state?.kind) {
    case 'help':
      return <Help />;
    case 'add-certificate':
      return <AddCertificates {...state} replaces={null} />;
    case 'replace-certificate':
      return <AddCertificates {...state} replaces={state.entry} />;
    case 'edit-certificate':
      return <EditCertificate entry={state.entry} />;
    case 'trust-ca':
      return <TrustCa {...state} />;
    case 'add-ca':
      return <AddCa />;
    case 'report-host':
      return <ReportHost authority={state.authority} />;
    case 'report-all':
      return <ReportAll />;
    case 'rule':
      return <RuleDialog rule={state.rule} />;
    default:
      return null;
  }
}
